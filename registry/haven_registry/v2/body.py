"""Reading request bodies in bounded memory."""

from collections.abc import Iterator
from typing import ClassVar

from haven_core.errors import HavenError
from haven_registry.v2.http import Request

CHUNK_BYTES = 1024 * 1024


class BodyTooLarge(HavenError):
    """413: more than the endpoint takes."""

    status: ClassVar[int] = 413
    oci_code: ClassVar[str] = "SIZE_INVALID"


def chunks(request: Request) -> Iterator[bytes]:
    """The body in pieces of at most 1 MiB. Ends early, without an error, when the client goes away: whoever cares
    compares with Content-Length."""
    read = request.body.read
    remaining = request.content_length
    if remaining is None and not request.has_body:
        return
    while remaining is None or remaining > 0:
        piece = read(CHUNK_BYTES if remaining is None else min(CHUNK_BYTES, remaining))
        if not piece:
            return
        if remaining is not None:
            remaining -= len(piece)
        yield piece


def read_all(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge before reading more than that."""
    declared = request.content_length
    if declared is not None and declared > limit:
        raise BodyTooLarge(f"the body has {declared} bytes; the limit is {limit}")
    pieces, size = [], 0
    for piece in chunks(request):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)
