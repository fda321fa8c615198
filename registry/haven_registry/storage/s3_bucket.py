"""One S3 bucket: every request the driver makes, with its retries, pages and errors. Knows nothing of uploads.

Retries are botocore's standard mode: five attempts in all on 500, 502, 503, 504, SlowDown and its kin, timeouts and
broken connections, waiting random(0, 1) * 2^n seconds between (full jitter), with a budget for the whole client so that
an outage is not answered with a storm. Bodies are checked by the server against their Content-MD5: the one checksum
that every S3 server knows; newer ones are sent only where S3 demands them.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from haven_registry.storage.errors import (
    ObjectMissing,
    StagingLost,
    StorageError,
    StorageFull,
    StorageTruncated,
    StorageUnavailable,
)

ATTEMPTS = 5
"""How often a request is tried in all before StorageUnavailable."""

_DELETE_BATCH = 1000  # S3's own limit for DeleteObjects
_CONTENT_TYPE = "application/octet-stream"
_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_UPLOAD_LOST = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"})
_FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge"})
_TRANSIENT = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded", "429"}
)
_NO_BATCH_DELETE = frozenset(
    {"MissingContentMD5", "NotImplemented", "MethodNotAllowed", "MalformedXML", "InvalidRequest"}
)


@dataclass(frozen=True, slots=True)
class S3Config:
    """Where the bucket is and how to talk to it. The secrets never show in its repr."""

    bucket: str
    prefix: str = ""
    """Empty, or a path that ends with a slash; goes before every name in the bucket."""
    endpoint_url: str | None = None
    """None: Amazon's."""
    region: str | None = None
    use_path_style: bool = False
    """`https://host/bucket/key` instead of `https://bucket.host/key`."""
    offers_redirect: bool = False
    """Whether downloads may be redirected to presigned URLs."""
    pool_size: int = 32
    """Connections kept open; more threads than this wait for none, but reconnect each time."""
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    """The longest silence of the server that is waited for."""
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    """None for both: the environment's chain of credentials (variables, files, instance or pod identity)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing. `name` is without the prefix; `size` in bytes."""

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """One multipart upload in progress."""

    name: str
    upload_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload that S3 has confirmed. `size` in bytes."""

    number: int
    etag: str
    size: int


class Bucket:
    """The requests. Names are relative to the configured prefix. Thread safe: one client, made at the first request."""

    def __init__(self, config: S3Config) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._made: tuple[int, Any] | None = None  # the process that made it, the client

    def put(self, name: str, body: bytes | IO[bytes], content_md5: str) -> None:
        """Store an object whole, checked by the server against `content_md5` (base64)."""
        with s3_errors(f"put {name}"):
            self._client.put_object(**self._object(name), Body=body, ContentMD5=content_md5, ContentType=_CONTENT_TYPE)

    def get(self, name: str, byte_range: str | None) -> dict[str, Any]:
        """The response of GetObject, its body unread. `byte_range` as in the Range header.

        Raises: ObjectMissing; StorageTruncated when the range begins at or past the end.
        """
        arguments = {} if byte_range is None else {"Range": byte_range}
        with s3_errors(f"get {name}"):
            return dict(self._client.get_object(**self._object(name), **arguments))

    def size(self, name: str) -> int:
        """Bytes of an object. Raises: ObjectMissing."""
        with s3_errors(f"head {name}"):
            return int(self._client.head_object(**self._object(name))["ContentLength"])

    def copy(self, source: str, target: str) -> None:
        """Copy an object of at most 5 GiB inside the bucket, by the server."""
        with s3_errors(f"copy {source} to {target}"):
            self._client.copy_object(**self._object(target), CopySource=self._object(source))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, 1,000 a request; missing ones are fine. All batches are tried before an error is raised."""
        first_error: StorageError | None = None
        for batch in _batches(names):
            try:
                self._delete_batch(batch)
            except StorageError as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def presign(self, name: str, expires_seconds: int, headers: dict[str, str]) -> str:
        """A URL to GET the object with; `headers` are GetObject's Response* arguments."""
        with s3_errors(f"presign {name}"):
            url = self._client.generate_presigned_url(
                "get_object", Params={**self._object(name), **headers}, ExpiresIn=expires_seconds
            )
            return str(url)

    def list_objects(self, prefix: str) -> Iterator[Listed]:
        """Objects whose name begins with `prefix`, page by page."""
        for item in self._pages("list_objects_v2", "Contents", Prefix=self.config.prefix + prefix):
            yield Listed(self._name(item["Key"]), int(item["Size"]), item["LastModified"])

    def list_uploads(self, prefix: str) -> Iterator[ListedUpload]:
        """Multipart uploads in progress whose name begins with `prefix`, page by page."""
        for item in self._pages("list_multipart_uploads", "Uploads", Prefix=self.config.prefix + prefix):
            yield ListedUpload(self._name(item["Key"]), item["UploadId"], item["Initiated"])

    def list_parts(self, name: str, upload_id: str) -> Iterator[Part]:
        """Parts of a multipart upload, page by page (S3 gives 1,000 at once). Raises: StagingLost."""
        for item in self._pages("list_parts", "Parts", Key=self.config.prefix + name, UploadId=upload_id):
            yield Part(int(item["PartNumber"]), _etag(item), int(item["Size"]))

    def create_upload(self, name: str) -> str:
        """Begin a multipart upload; its id."""
        with s3_errors(f"begin a multipart upload of {name}"):
            response = self._client.create_multipart_upload(**self._object(name), ContentType=_CONTENT_TYPE)
            return str(response["UploadId"])

    def upload_part(self, name: str, upload_id: str, number: int, body: IO[bytes], content_md5: str) -> str:
        """Upload one part; its ETag. Raises: StagingLost when the upload is gone."""
        with s3_errors(f"upload part {number} of {name}"):
            response = self._client.upload_part(
                **self._object(name), UploadId=upload_id, PartNumber=number, Body=body, ContentMD5=content_md5
            )
            return _etag(response)

    def copy_part(self, name: str, upload_id: str, number: int, source: str) -> str:
        """Make an object of at most 5 GiB one part of a multipart upload; the part's ETag. Raises: StagingLost."""
        with s3_errors(f"copy {source} as part {number} of {name}"):
            response = self._client.upload_part_copy(
                **self._object(name), UploadId=upload_id, PartNumber=number, CopySource=self._object(source)
            )
            return _etag(response["CopyPartResult"])

    def complete_upload(self, name: str, upload_id: str, parts: Iterable[Part]) -> None:
        """Make the parts an object. Raises: StagingLost when the upload is gone, which may mean: completed before."""
        listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        with s3_errors(f"complete {name}"):
            self._client.complete_multipart_upload(
                **self._object(name), UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    def abort_upload(self, name: str, upload_id: str) -> None:
        """Drop a multipart upload and its parts; one that is gone is fine."""
        try:
            with s3_errors(f"abort {name}"):
                self._client.abort_multipart_upload(**self._object(name), UploadId=upload_id)
        except StagingLost:
            pass

    @property
    def _client(self) -> Any:
        """This process's client. A forked child makes its own: connections must not be shared across a fork."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._lock:
                if self._made is None or self._made[0] != os.getpid():
                    self._made = (os.getpid(), _make_client(self.config))
                made = self._made
        return made[1]

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.config.bucket, "Key": self.config.prefix + name}

    def _name(self, full_name: str) -> str:
        return full_name.removeprefix(self.config.prefix)

    def _pages(self, operation: str, field_name: str, **arguments: str) -> Iterator[dict[str, Any]]:
        pages = iter(self._client.get_paginator(operation).paginate(Bucket=self.config.bucket, **arguments))
        while True:
            with s3_errors(operation.replace("_", " ")):
                page = next(pages, None)
            if page is None:
                return
            yield from page.get(field_name, [])

    def _delete_batch(self, names: list[str]) -> None:
        if len(names) == 1:
            return self._delete_one(names[0])
        objects = [{"Key": self.config.prefix + name} for name in names]
        try:
            with s3_errors(f"delete {len(names)} objects"):
                response = self._client.delete_objects(
                    Bucket=self.config.bucket, Delete={"Objects": objects, "Quiet": True}
                )
        except StorageError as error:
            # Some S3-compatible servers know no batch delete, or only with a checksum that newer clients don't send.
            if _code(error.__cause__) not in _NO_BATCH_DELETE:
                raise
            for name in names:
                self._delete_one(name)
            return None
        failed = [item for item in response.get("Errors", []) if item.get("Code") not in _MISSING]
        if failed:
            raise StorageUnavailable(f"delete: {len(failed)} of {len(names)} objects stayed ({failed[0].get('Code')})")
        return None

    def _delete_one(self, name: str) -> None:
        try:
            with s3_errors(f"delete {name}"):
                self._client.delete_object(**self._object(name))
        except ObjectMissing:
            pass


@contextmanager
def s3_errors(action: str) -> Iterator[None]:
    """Raise what boto3 reports as a storage error. Messages hold codes only: servers echo access keys in texts."""
    from botocore.exceptions import BotoCoreError, ClientError  # boto3 is loaded only where S3 is used

    try:
        yield
    except ClientError as error:
        raise _translate(error.response, action) from error
    except BotoCoreError as error:
        raise _translate_transport(error, action) from error


def _translate(response: Any, action: str) -> StorageError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = f"{action}: S3 answered {code or status}"
    if code in _MISSING:
        return ObjectMissing(message)
    if code == "InvalidRange":
        return StorageTruncated(message)
    if code in _UPLOAD_LOST:
        return StagingLost(message)
    if code in _FULL or status == 507:
        return StorageFull(message)
    if code in _TRANSIENT or status >= 500 or status == 429:
        return StorageUnavailable(message)
    if code == "RequestTimeTooSkewed":
        return StorageError(f"{message}: this machine's clock and the S3 server's differ too much")
    return StorageError(message)


def _translate_transport(error: Exception, action: str) -> StorageError:
    from botocore.exceptions import ConnectionError as ConnectFailure  # as above
    from botocore.exceptions import HTTPClientError

    message = f"{action}: {type(error).__name__}"
    is_transport = isinstance(error, (ConnectFailure, HTTPClientError))
    return StorageUnavailable(message) if is_transport else StorageError(message)


def _etag(item: Any) -> str:
    """Without its quotes: not every server sends them everywhere."""
    return str(item["ETag"]).strip('"')


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == _DELETE_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _make_client(config: S3Config) -> Any:
    import boto3  # loaded only where S3 is used
    from botocore.config import Config

    # A session of our own: boto3's default one is not thread safe to make clients from.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=config.endpoint_url,
        region_name=config.region,
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        config=Config(
            signature_version="s3v4",  # presigned URLs would be v2 otherwise
            s3={"addressing_style": "path" if config.use_path_style else "auto"},
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=config.pool_size,
            connect_timeout=config.connect_timeout_seconds,
            read_timeout=config.read_timeout_seconds,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
