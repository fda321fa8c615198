"""Reading request bodies in bounded memory."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import ClassVar

from haven_core.errors import HavenError
from haven_registry.v2.http import Request

CHUNK_BYTES = 1024 * 1024
DRAIN_FIRST_BYTES = 1024 * 1024
DRAIN_BYTES = 256 * 1024 * 1024
DRAIN_SECONDS = 10.0


class BodyTooLarge(HavenError):
    """413: more than the endpoint takes."""

    status: ClassVar[int] = 413
    oci_code: ClassVar[str] = "SIZE_INVALID"


class BodyBroken(HavenError):
    """400: the body can't be read to its end."""

    status: ClassVar[int] = 400
    oci_code: ClassVar[str] = "SIZE_INVALID"
    message: ClassVar[str] = "the request body can't be read"


def chunks(request: Request) -> Iterator[bytes]:
    """The body in pieces of about 1 MiB at most. Ends early, without an error, when the client goes away: whoever cares
    compares with Content-Length. Raises BodyBroken for what is no chunked body."""
    remaining = request.content_length
    if remaining is None and not request.has_body:
        return
    if request.head:
        if remaining is not None:
            remaining -= len(request.head)
        yield request.head
    if request.is_body_read:
        return
    while remaining is None or remaining > 0:
        piece = _read(request, CHUNK_BYTES if remaining is None else min(CHUNK_BYTES, remaining))
        if not piece:
            break
        if remaining is not None:
            remaining -= len(piece)
        yield piece
    request.is_body_read = True


def is_short(request: Request) -> bool:
    """Whether there is a body, and it has less than CHUNK_BYTES; reads about so much to find out. What was read is kept, and
    chunks() begins with it, so that the body can be asked for again until something behind it was read. Raises BodyBroken."""
    declared = request.content_length
    if declared is not None and declared >= CHUNK_BYTES:
        return False
    if not request.head:
        pieces, size = [], 0
        for piece in chunks(request):
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES:
                break
        request.head = b"".join(pieces)
    return request.is_body_read and request.head != b""


def _read(request: Request, size: int) -> bytes:
    try:
        return request.body.read(size)
    except Exception as error:  # each server has its own errors for a broken chunk or connection
        raise BodyBroken from error


def read_all(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge before reading more than that, BodyBroken when less
    comes than was declared. Asked again it gives the same."""
    if request.payload is not None:
        return request.payload
    declared = request.content_length
    if declared is not None and declared > limit:
        raise BodyTooLarge(f"the body has {declared} bytes; the limit is {limit}")
    pieces, size = [], 0
    for piece in chunks(request):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes")
        pieces.append(piece)
    if declared is not None and size < declared:
        raise BodyBroken
    request.payload = b"".join(pieces)
    return request.payload


def answered(request: Request, answer: bytes | Iterable[bytes]) -> Iterable[bytes]:
    """The answer as WSGI wants it, with care for a request body that nobody read: an early refusal.

    Closing the connection on bytes that still come in would reset it, and the gateway, or a client that writes before it
    reads, would see a broken connection instead of the answer. So a short body is read and forgotten first, and the
    connection stays good for the next request; a long one, or one of unknown length, after the answer is out. Who waits
    for 100 Continue has not sent it and need not.
    """
    if request.is_body_read or not request.has_body or request.header("EXPECT"):
        return [answer] if isinstance(answer, bytes) else answer
    length = request.content_length
    if length is not None and length <= DRAIN_FIRST_BYTES:
        _drain(request)
        return [answer] if isinstance(answer, bytes) else answer
    return _AnswerThenDrain(request, answer)


class _AnswerThenDrain:
    """Gives the answer, then reads what still comes; the gateway hangs up as soon as it has passed the answer on."""

    def __init__(self, request: Request, answer: bytes | Iterable[bytes]) -> None:
        self._request = request
        self._answer: Iterable[bytes] = (answer,) if isinstance(answer, bytes) else answer

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """Called by the server after the last byte of the answer (PEP 3333)."""
        _drain(self._request)


def _drain(request: Request) -> None:
    """Up to DRAIN_BYTES and about DRAIN_SECONDS."""
    deadline, left = time.monotonic() + DRAIN_SECONDS, DRAIN_BYTES
    with suppress(BodyBroken):
        for piece in chunks(request):
            left -= len(piece)
            if left <= 0 or time.monotonic() > deadline:
                return
