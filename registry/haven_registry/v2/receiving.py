"""Taking an upload's bytes: read, hash and store in one pass, in constant memory.

The bytes a request brought count when the compare-and-set of record_progress succeeds: of two writers on one session
one wins and the other is told. The staged bytes stay locked until then: released earlier, they could be overwritten by
one that had read the session before, and its bytes be published under the digest recorded here. A request that ends
early (client gone, worker killed) leaves the session at the last recorded offset, which GET reports and the next
request continues.
"""

import hashlib
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Protocol

from django.db import Error as DatabaseFailed
from django.utils import timezone

from haven_core.db.connections import rest_connection, wake_connection
from haven_core.errors import HavenError
from haven_registry.errors import SizeInvalid, UploadConflict, UploadUnknown
from haven_registry.oci.digest import Digest, new_hash
from haven_registry.oci.errors import DigestInvalid
from haven_registry.oci.http_ranges import parse_content_range
from haven_registry.services.uploads import OpenUpload, record_progress, record_upload, require_current, was_recorded
from haven_registry.storage.driver import StagedWriter, StagingState
from haven_registry.storage.errors import StagingLost, StorageError, UploadBusy
from haven_registry.store import driver
from haven_registry.v2.body import chunks, is_short
from haven_registry.v2.carried import Outdated
from haven_registry.v2.http import Request

CHECKPOINT_BYTES = 64 * 1024 * 1024


class Hash(Protocol):
    """What hashlib returns."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def append_body(request: Request, upload: OpenUpload, algorithm: str | None = None) -> OpenUpload:
    """Append the request's body to the session; returns it as recorded, with those bytes durable.

    Raises SizeInvalid (400) when the body is not as long as its headers say: too long, and nothing of it is kept; too
    short, and what came is kept. Raises UploadConflict (416) when another request got there first, UploadUnknown and
    RepositoryUnknown when it was closed meanwhile, UploadBusy, and StorageError; Outdated, of a session that came from its
    address, while the body can be asked for again. Of a session that was promised so far also what record_upload raises.
    """
    algorithm, waiting_since, began = algorithm or upload.algorithm, monotonic(), timezone.now()
    if upload.is_promised:
        upload = _ready(request, upload)
    start, limit = upload.received_bytes, _limit(request)
    hasher: Hash | None = new_hash(algorithm) if start == 0 else None
    writer = _append(upload)
    recorded = start
    try:
        if writer.will_cut:
            require_current(upload)
        rest_connection()
        for piece in chunks(request):
            if limit is not None and writer.size + len(piece) > limit:
                raise SizeInvalid(f"the body is longer than its Content-Range of {limit} bytes")
            if hasher is not None:
                hasher.update(piece)
            writer.write(piece)
            if start + writer.size - recorded >= CHECKPOINT_BYTES and limit is None:
                recorded, staging = start + writer.size, writer.checkpoint()
                wake_connection(waiting_since)
                upload, waiting_since = _record(upload, recorded, staging, algorithm, hasher), monotonic()
                rest_connection()
        staging = writer.checkpoint()
        wake_connection(waiting_since)
        if writer.size:
            upload = _record(upload, start + writer.size, staging, algorithm, hasher)
        else:
            require_current(upload)
    except (HavenError, StorageError, DatabaseFailed) as error:
        _take_back(upload, writer, error)
        if upload.is_promised and isinstance(error, UploadConflict) and not _has_rival(request, upload, began):
            raise Outdated from None
        raise
    finally:
        writer.discard()
    declared = request.content_length if request.content_length is not None else limit
    if declared is not None and writer.size < declared:
        raise SizeInvalid(f"the body ended after {writer.size} of {declared} bytes; the upload is kept")
    return upload


def _append(upload: OpenUpload) -> StagedWriter:
    """Raises Outdated unless exactly what the session's address says is staged, if it came from there."""
    try:
        writer = driver().append(upload.key, upload.staging, upload.received_bytes)
    except (StagingLost, UploadBusy):
        if upload.is_carried:
            raise Outdated from None
        raise
    if writer.will_cut and upload.is_carried:
        writer.discard()
        raise Outdated
    return writer


def _ready(request: Request, upload: OpenUpload) -> OpenUpload:
    """A promised session, as it is when its body is short, and else recorded: no byte of a long one is ever unknown to the
    database. Raises Outdated when it was recorded meanwhile, and what record_upload raises."""
    waiting_since = monotonic()
    rest_connection()
    if is_short(request):
        return upload
    wake_connection(waiting_since)
    try:
        return record_upload(upload)
    except UploadConflict:
        raise Outdated from None


def _has_rival(request: Request, upload: OpenUpload, began: datetime) -> bool:
    """Whether another request has brought bytes while this one did, and both can't count: the same PATCH sent twice would be
    appended to itself. A Content-Range says where it belongs, a PUT what it should come to."""
    is_vague = request.method == "PATCH" and not request.environ.get("HTTP_CONTENT_RANGE")
    return is_vague and was_recorded(upload.id, since=began)


def _take_back(upload: OpenUpload, writer: StagedWriter, error: Exception) -> None:
    """Remove what this request staged where nobody else would. What a database that failed may have recorded is kept."""
    if upload.is_promised:
        if not (isinstance(error, DatabaseFailed) and _may_be_recorded(upload)):
            with suppress(StorageError):  # the daily look finds it
                driver().abandon(upload.key, None)
    elif isinstance(error, UploadUnknown):
        driver().abandon(upload.key, upload.staging)  # the session was closed meanwhile
    elif upload.is_carried and not isinstance(error, DatabaseFailed):
        writer.revert()  # the session may be gone, and nobody else cut this


def _may_be_recorded(upload: OpenUpload) -> bool:
    try:
        wake_connection()
        return was_recorded(upload.id)
    except DatabaseFailed:
        return True


def _limit(request: Request) -> int | None:
    header = request.environ.get("HTTP_CONTENT_RANGE")
    if not header:
        return None
    first, last = parse_content_range(header)
    return last - first + 1


def _record(
    upload: OpenUpload, received: int, staging: StagingState, algorithm: str, hasher: Hash | None
) -> OpenUpload:
    digest = f"{algorithm}:{hasher.hexdigest()}" if hasher is not None else None
    return record_progress(upload, received_bytes=received, prefix_digest=digest, staging=staging)


def require_digest(upload: OpenUpload, digest: Digest) -> None:
    """Raise DigestInvalid unless the session's bytes have this digest.

    Known without reading when one request brought them all under the same algorithm; else they are read once more.
    """
    known = upload.prefix_digest
    if upload.received_bytes == 0:
        known = f"{digest.algorithm}:{hashlib.new(digest.algorithm).hexdigest()}"
    if known is None or not known.startswith(digest.algorithm + ":"):
        hasher: Hash = new_hash(digest.algorithm)
        for piece in driver().read_staged(upload.key, upload.staging, upload.received_bytes):
            hasher.update(piece)
        known = f"{digest.algorithm}:{hasher.hexdigest()}"
    if known != str(digest):
        raise DigestInvalid(f"the bytes received do not have the digest {digest}", {"received": known})
