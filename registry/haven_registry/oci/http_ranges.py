"""Byte ranges: of uploads, as the distribution specification writes them, and of blobs, as RFC 9110 does."""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import RangeInvalid, RangeUnsatisfiable, excerpt

# One request of a client for partial layers asks for up to 1,024 pieces.
MAX_RANGES = 1024

_MAX_POSITION = 2**63 - 1
_DIGITS_OF_MAX_POSITION = 19
_content_range = re.compile(r"(?:bytes[ =]?)?([0-9]{1,19})-([0-9]{1,19})(?:/(?:[0-9]+|\*))?").fullmatch
_range_spec = re.compile(r"([0-9]*)-([0-9]*)").fullmatch


class ByteRange(NamedTuple):
    """A piece of a representation, in bytes; `length` is at least 1."""

    start: int
    length: int


def parse_content_range(header: str) -> tuple[int, int]:
    """Read the `Content-Range` of a chunk: first and last byte, both inclusive.

    The specification has `<start>-<end>`; the prefix `bytes ` and the suffix `/<total>` of RFC 9110 are accepted.
    Raises RangeInvalid.
    """
    match = _content_range(header.strip(" \t"))
    if match is None:
        raise RangeInvalid(f"{excerpt(header)} is not a range of bytes")
    start, end = int(match[1]), int(match[2])
    if not start <= end <= _MAX_POSITION:
        raise RangeInvalid(f"{excerpt(header)} ends before it starts, or too far")
    return start, end


def format_upload_range(received_bytes: int) -> str:
    """The `Range` of an upload: `0-<last byte>` without a unit, `0-0` also when nothing was received."""
    return f"0-{max(received_bytes - 1, 0)}"


def parse_range(header: str | None, length: int) -> list[ByteRange] | None:
    """Read the `Range` of a request for a representation of `length` bytes (RFC 9110, 14.1.2 and 14.2).

    Returns the satisfiable ranges in the order asked for, cut at the end of the representation. None means to
    answer 200 with everything: no header, another unit, a syntax error, more than MAX_RANGES ranges or more bytes
    than there are (overlaps: CVE-2011-3192), or an empty representation, of which no range can be sent.

    Raises RangeUnsatisfiable when no range touches the representation. As nginx, which serves blobs too, that
    includes a range that ends before it starts, which the RFC would also allow to ignore.
    """
    if header is None or length == 0:
        return None
    unit, _, specs = header.partition("=")
    if unit.strip(" \t").lower() != "bytes":
        return None
    # A list may have empty elements (RFC 9110, 5.6.1).
    asked = [spec for element in specs.split(",") if (spec := element.strip(" \t"))]
    if not asked or len(asked) > MAX_RANGES:
        return None
    satisfiable: list[ByteRange] = []
    for spec in asked:
        match = _range_spec(spec)
        if match is None or spec == "-":
            return None
        piece = _resolve(match[1], match[2], length)
        if piece is not None:
            satisfiable.append(piece)
    if not satisfiable:
        raise RangeUnsatisfiable(f"no range of {excerpt(header)} is within {length} bytes", {"length": length})
    return satisfiable if sum(piece.length for piece in satisfiable) <= length else None


def format_content_range(piece: ByteRange, length: int) -> str:
    """The `Content-Range` of a 206."""
    return f"bytes {piece.start}-{piece.start + piece.length - 1}/{length}"


def format_unsatisfied_range(length: int) -> str:
    """The `Content-Range` of a 416."""
    return f"bytes */{length}"


def _resolve(first: str, last: str, length: int) -> ByteRange | None:
    if not first:
        wanted = min(_position(last), length)
        return ByteRange(length - wanted, wanted) if wanted else None
    start = _position(first)
    end = min(_position(last), length - 1) if last else length - 1
    return ByteRange(start, end - start + 1) if start <= end else None


def _position(digits: str) -> int:
    # Any number past the largest file will do as well; Python refuses to convert thousands of digits.
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _DIGITS_OF_MAX_POSITION else _MAX_POSITION
