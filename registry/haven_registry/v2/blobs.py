"""Blobs: HEAD, GET, DELETE (distribution-spec end-2, end-10)."""

import logging
from collections.abc import Iterator

from haven_core.conf import config
from haven_registry import selectors
from haven_registry.errors import BlobUnknown
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestUnsupported, RangeUnsatisfiable
from haven_registry.oci.http_ranges import format_content_range, format_unsatisfied_range, parse_range
from haven_registry.services.blobs import delete_blob
from haven_registry.storage.errors import StorageTruncated
from haven_registry.store import driver
from haven_registry.v2 import remembered
from haven_registry.v2.errors import error_response
from haven_registry.v2.http import Request, Response
from haven_registry.v2.preconditions import etag_matches, if_range_holds

_log = logging.getLogger("haven.v2")
OCTETS = "application/octet-stream"
REDIRECT_SECONDS = 20 * 60


def get(request: Request, project: str, repository: str, reference: str) -> Response:
    """HEAD and GET. The gateway sends the file; without one the app streams it, ranges included."""
    try:
        digest = str(Digest.parse(reference))
    except DigestUnsupported:
        raise BlobUnknown([reference]) from None
    found = remembered.find_blob(project, repository, digest)
    if found is None:
        raise BlobUnknown([digest])
    etag = f'"{digest}"'
    identity = [("Docker-Content-Digest", digest), ("ETag", etag)]
    headers = [*identity, ("Cache-Control", "private, max-age=31536000, immutable"), ("Accept-Ranges", "bytes")]
    if etag_matches(request.header("IF_NONE_MATCH"), digest):
        return Response(304, headers)
    headers.append(("Content-Type", OCTETS))
    if request.method == "HEAD":
        _require_whole(found, digest)
        return Response(200, headers, length=found.size)
    storage = driver()
    if storage.name == "filesystem" and config().accel_redirect:
        _require_whole(found, digest)  # the gateway would send a torn file as if it were all
        # Cache-Control and Accept-Ranges are the gateway's: it would send ours beside its own, and with its errors too
        accelerated = [*identity, ("Content-Type", OCTETS), ("X-Accel-Redirect", f"/_{found.storage_key}")]
        return Response(200, accelerated)
    if url := storage.presigned_url(found.storage_key, REDIRECT_SECONDS):
        return Response(307, [*headers, ("Location", url)])
    wanted = request.header("RANGE") if if_range_holds(request.header("IF_RANGE"), digest) else None
    return _stream(wanted, headers, found, digest)


def _require_whole(found: selectors.FoundBlob, digest: str) -> None:
    """Raises BlobUnknown, or ObjectMissing, for damaged bytes: what is 404 is brought again by the next push."""
    size = driver().size(found.storage_key)
    if size != found.size:
        _log.error("bytes torn: %s has %s of %s bytes at %s", digest, size, found.size, found.storage_key)
        raise BlobUnknown([digest])


def _stream(wanted: str | None, headers: list[tuple[str, str]], found: selectors.FoundBlob, digest: str) -> Response:
    size = found.size
    try:
        ranges = parse_range(wanted, size)
    except RangeUnsatisfiable as error:
        refusal = error_response(416, error.code, error.message)
        refusal.headers.append(("Content-Range", format_unsatisfied_range(size)))
        return refusal
    if ranges is None or len(ranges) != 1:  # several ranges: the whole is a valid answer (RFC 9110, 14.2)
        return Response(200, headers, _opened(found, digest, 0, size), length=size)
    [piece] = ranges
    headers = [*headers, ("Content-Range", format_content_range(piece, size))]
    return Response(206, headers, _opened(found, digest, piece.start, piece.length), length=piece.length)


def _opened(found: selectors.FoundBlob, digest: str, start: int, length: int) -> Iterator[bytes]:
    """The bytes, the first piece fetched now: a missing or torn object must be a 404, not a torn 200."""
    try:
        pieces = driver().read(found.storage_key, start, length)
    except StorageTruncated as error:
        _log.error("bytes torn: %s at %s: %s", digest, found.storage_key, error)
        raise BlobUnknown([digest]) from error
    first = next(pieces, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from pieces

    return rest()


def delete(project: str, repository: str, reference: str) -> Response:
    """DELETE: the blob is 404 from now on, unless a live manifest names it (then 405)."""
    digest = str(Digest.parse(reference))
    found = selectors.find_repository(project, repository)
    if found is None:
        raise BlobUnknown([digest])
    delete_blob(repository_id=found.id, digest=digest)
    return Response(202, [("Docker-Content-Digest", digest)])
