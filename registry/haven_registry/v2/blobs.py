"""Blobs: HEAD, GET, DELETE (distribution-spec end-2, end-10)."""

from collections.abc import Iterator

from haven_core.conf import config
from haven_registry import selectors
from haven_registry.errors import BlobUnknown
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestUnsupported, RangeUnsatisfiable
from haven_registry.oci.http_ranges import format_content_range, format_unsatisfied_range, parse_range
from haven_registry.services.blobs import delete_blob
from haven_registry.store import driver
from haven_registry.v2.errors import error_response
from haven_registry.v2.http import Request, Response
from haven_registry.v2.preconditions import etag_matches

OCTETS = "application/octet-stream"
REDIRECT_SECONDS = 20 * 60


def get(request: Request, project: str, repository: str, reference: str) -> Response:
    """HEAD and GET. The gateway sends the file; without one the app streams it, ranges included."""
    try:
        digest = str(Digest.parse(reference))
    except DigestUnsupported:
        raise BlobUnknown([reference]) from None
    found = selectors.find_blob(project, repository, digest)
    if found is None:
        raise BlobUnknown([digest])
    etag = f'"{digest}"'
    identity = [("Docker-Content-Digest", digest), ("ETag", etag)]
    headers = [*identity, ("Cache-Control", "private, max-age=31536000, immutable"), ("Accept-Ranges", "bytes")]
    if etag_matches(request.header("IF_NONE_MATCH"), digest):
        return Response(304, headers)
    headers.append(("Content-Type", OCTETS))
    if request.method == "HEAD":
        if driver().size(found.storage_key) != found.size:
            raise BlobUnknown([digest])  # damaged: say so, and the next push brings it again
        return Response(200, headers, length=found.size)
    if url := driver().presigned_url(found.storage_key, REDIRECT_SECONDS):
        return Response(307, [*headers, ("Location", url)])
    if config().accel_redirect and driver().name == "filesystem":
        # Cache-Control and Accept-Ranges are the gateway's: it would send ours beside its own, and with its errors too
        accelerated = [*identity, ("Content-Type", OCTETS), ("X-Accel-Redirect", f"/_{found.storage_key}")]
        return Response(200, accelerated)
    return _stream(request, headers, found.storage_key, found.size)


def _stream(request: Request, headers: list[tuple[str, str]], key: str, size: int) -> Response:
    try:
        ranges = parse_range(request.header("RANGE"), size)
    except RangeUnsatisfiable as error:
        refusal = error_response(416, error.code, error.message)
        refusal.headers.append(("Content-Range", format_unsatisfied_range(size)))
        return refusal
    if ranges is None or len(ranges) != 1:  # several ranges: the whole is a valid answer (RFC 9110, 14.2)
        return Response(200, headers, _opened(driver().read(key, 0, size)), length=size)
    [piece] = ranges
    headers = [*headers, ("Content-Range", format_content_range(piece, size))]
    return Response(206, headers, _opened(driver().read(key, piece.start, piece.length)), length=piece.length)


def _opened(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, with the first piece fetched now: a missing object must be a 404, not a torn 200."""
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
