"""Blobs as objects of an S3 bucket, Amazon's or a compatible server's.

    <prefix>blobs/<aa>/<uuid>                     published; also the name of the multipart uploads in progress
    <prefix>staging/<aa>/<uuid>/<uuid>            tails: bytes of an upload that are no full part (yet)
    <prefix>staging/<aa>/<uuid>/completed-early   see `read_staged`

Requests for an upload sent in one body:

| size | requests |
|---|---|
| 0 | PUT, HEAD |
| under 8 MiB | PUT tail; CopyObject (by the server) to the key, HEAD, DELETE tail |
| more | Create, UploadPart for each 8 MiB, PUT tail; UploadPartCopy of the tail, Complete, HEAD, DELETE |

Why the tail is not put at the key at once, which would save CopyObject and DELETE: an object at a key is published,
here as on every driver; `abandon` never touches one, and an upload that goes on later would write a key twice.

No copy is larger than a part (at most 4 GiB), so S3's limit of 5 GiB for a copy (distribution issue 886) is never met.
Needs permission for GetObject, PutObject, DeleteObject, ListBucket, AbortMultipartUpload, ListMultipartUploadParts,
ListBucketMultipartUploads. Without ListBucket S3 answers 403 for what is missing.
"""

import base64
import hashlib
import itertools
import pathlib
import uuid
from collections.abc import Iterable, Iterator

from haven_registry.storage.driver import (
    StagedWriter,
    StagingState,
    StoredObject,
    require_offset,
    require_range,
    require_recorded,
)
from haven_registry.storage.errors import ObjectMissing, StagingLost, StorageError, StorageUnavailable
from haven_registry.storage.keys import BLOBS, is_key, validate_key
from haven_registry.storage.s3_bucket import Bucket, Part, S3Config
from haven_registry.storage.s3_reader import read_object
from haven_registry.storage.s3_writer import STAGING, S3Staging, read_tail, resume, staging_prefix

_COMPLETED_EARLY = "completed-early"


class S3Driver:
    """StorageDriver over a bucket. Any number of processes may share it."""

    name = "s3"
    sees_staged = False  # a multipart upload has the parts that the state names

    def __init__(self, config: S3Config) -> None:
        """Makes no request yet."""
        self._bucket = Bucket(config)

    def __repr__(self) -> str:
        return f"S3Driver({self._bucket.config!r})"

    def append(self, key: str, state: StagingState | None, offset: int) -> StagedWriter:
        """Go on with an upload: no request for a new one; ListParts and GET of the tail for one that is resumed."""
        validate_key(key)
        require_offset(state, offset)
        return resume(self._bucket, key, state)

    def seal(
        self,
        key: str,
        state: StagingState | None,
        size: int,
        *,
        may_cut: bool = True,  # noqa: ARG002 - the Protocol's; nothing is there but what the state says
    ) -> None:
        """Complete the multipart upload, or copy the tail to the key; then check the size with HEAD, then clean up.

        The cleanup counts: were `completed-early` to stay, a late `abandon` would delete a published blob.
        """
        validate_key(key)
        require_recorded(key, state, size)
        staging = S3Staging.from_state(state)
        self._publish(key, staging, size)
        self._bucket.delete(_staged_names(key, staging))

    def abandon(self, key: str, state: StagingState | None) -> None:
        """Abort every multipart upload of the key and delete its tails, recorded or not."""
        validate_key(key)
        upload_id = S3Staging.from_state(state).upload_id
        if upload_id is not None:
            self._bucket.abort_upload(key, upload_id)
        for upload in self._bucket.list_uploads(key):
            if upload.name == key:
                self._bucket.abort_upload(key, upload.upload_id)
        names = [found.name for found in self._bucket.list_objects(staging_prefix(key))]
        if _completed_early(key) in names:
            self._bucket.delete([key])  # before its marker: a crash between the two must leave the marker
        self._bucket.delete(names)

    def read_staged(self, key: str, state: StagingState | None, size: int) -> Iterator[bytes]:
        """The tail, or the object itself: completed for the purpose, or published before.

        S3 can't read the parts of a multipart upload. So it is completed now, after a marker object has said so:
        `seal` removes the marker, and `abandon`, if it finds the marker, removes the object too.
        """
        validate_key(key)
        require_recorded(key, state, size)
        staging = S3Staging.from_state(state)
        if not staging.parts:
            try:
                return read_tail(self._bucket, key, staging)
            except StagingLost:
                if not self._is_published(key, size):
                    raise
        elif not self._is_published(key, size):  # a marker beside a sealed object would make `abandon` delete it
            self._put(_completed_early(key), b"")
            self._publish(key, staging, size)
        return read_object(self._bucket, key, 0, size)

    def _is_published(self, key: str, size: int) -> bool:
        try:
            return self._bucket.size(key) == size
        except ObjectMissing:
            return False

    def put(self, key: str, data: bytes) -> None:
        """One PUT, checked by the server against its MD5."""
        self._put(validate_key(key), data)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """One GET, streamed."""
        require_range(start, length)
        return read_object(self._bucket, validate_key(key), start, length)

    def size(self, key: str) -> int:
        """One HEAD."""
        return self._bucket.size(validate_key(key))

    def delete(self, keys: Iterable[str]) -> None:
        """DeleteObjects, 1,000 a request."""
        self._bucket.delete(validate_key(key) for key in keys)

    def local_path(self, key: str) -> pathlib.Path | None:
        """None: the bytes are not on this machine."""
        validate_key(key)
        return None

    def presigned_url(
        self,
        key: str,
        expires_seconds: int,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
    ) -> str | None:
        """A presigned GET (signature v4: at most seven days), if the configuration offers redirects."""
        validate_key(key)
        if not self._bucket.config.offers_redirect:
            return None
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": content_disposition}
        wanted = {name: value for name, value in headers.items() if value is not None}
        return self._bucket.presign(key, expires_seconds, wanted)

    def list_keys(self, prefix: str = "", *, only_staged: bool = False) -> Iterator[StoredObject]:
        """Three listings: published objects, tails, multipart uploads."""
        staged = itertools.chain(self._list_tails(prefix), self._list_uploads(prefix))
        return staged if only_staged else itertools.chain(self._list_published(prefix), staged)

    def check(self) -> None:
        """PUT, GET and DELETE a small object under `health/`."""
        name, probe = f"health/{uuid.uuid4().hex}", b"haven"
        self._put(name, probe)
        try:
            if b"".join(read_object(self._bucket, name)) != probe:
                raise StorageError(f"check of {self!r}: what was written does not read back")
        finally:
            self._bucket.delete([name])

    def _put(self, name: str, data: bytes) -> None:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        self._bucket.put(name, data, base64.b64encode(digest).decode())

    def _publish(self, key: str, staging: S3Staging, size: int) -> None:
        """Make the object at `key`; success too when it stands there already with its size.

        A lost answer and a second try look alike: the multipart upload or tail is gone. Only HEAD tells "done before"
        from "lost" (protocol brief 4.3, scenario 14).
        """
        failure: StorageError | None = None
        try:
            self._assemble(key, staging)
        except (StagingLost, ObjectMissing, StorageUnavailable) as error:
            failure = error
        try:
            published = self._bucket.size(key)
        except ObjectMissing:
            published = None
        if published == size:
            return
        if isinstance(failure, StorageUnavailable):
            raise failure
        if failure is not None:
            raise StagingLost(f"{key}: what was staged is gone") from failure
        raise StorageError(f"{key}: {published} bytes stand there after sealing {size}")

    def _assemble(self, key: str, staging: S3Staging) -> None:
        if staging.upload_id is not None:
            parts = list(staging.parts)
            if staging.tail is not None:
                number = len(parts) + 1
                etag = self._bucket.copy_part(key, staging.upload_id, number, staging.tail)
                parts.append(Part(number, etag, staging.tail_size))
            self._bucket.complete_upload(key, staging.upload_id, parts)
        elif staging.tail is not None:
            self._bucket.copy(staging.tail, key)
        else:
            self._put(key, b"")

    def _list_published(self, prefix: str) -> Iterator[StoredObject]:
        for found in self._bucket.list_objects(prefix):
            if is_key(found.name):
                yield StoredObject(found.name, found.size, found.modified_at, is_staged=False)

    def _list_tails(self, prefix: str) -> Iterator[StoredObject]:
        # The part of a key below `blobs/` stands below `staging/` too; a shorter prefix means all of them.
        below = prefix.removeprefix(BLOBS) if prefix.startswith(BLOBS) else ""
        for found in self._bucket.list_objects(STAGING + below):
            key = BLOBS + found.name.removeprefix(STAGING).rpartition("/")[0]
            if is_key(key) and key.startswith(prefix):
                yield StoredObject(key, found.size, found.modified_at, is_staged=True)

    def _list_uploads(self, prefix: str) -> Iterator[StoredObject]:
        for upload in self._bucket.list_uploads(prefix):
            if is_key(upload.name):
                yield StoredObject(upload.name, 0, upload.started_at, is_staged=True)


def _completed_early(key: str) -> str:
    return staging_prefix(key) + _COMPLETED_EARLY


def _staged_names(key: str, staging: S3Staging) -> list[str]:
    names = list(staging.stale)
    if staging.tail is not None:
        names.append(staging.tail)
    if staging.upload_id is not None:
        names.append(_completed_early(key))
    return names
