"""Digests: the names of content (image-spec, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import DigestInvalid, DigestUnsupported, excerpt

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # typeshed's name for what `hashlib.new` returns

SUPPORTED_ALGORITHMS = ("sha256", "sha512")
MAX_DIGEST_CHARACTERS = len("sha512:") + 128

# `fullmatch`, never `$`: the latter also matches before a newline at the end.
_supported = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})").fullmatch
_well_formed = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):[a-zA-Z0-9=_-]+").fullmatch
# Beyond this a text is refused unread; the grammar sets no limit, but no registered algorithm comes near it.
_MAX_UNSUPPORTED_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of a supported algorithm. Make one with `parse` or `of`; the constructor does not check."""

    algorithm: str
    encoded: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<64 hex>` or `sha512:<128 hex>`, lower case only.

        Raises:
            DigestUnsupported: well formed, but of another algorithm.
            DigestInvalid: anything else.
        """
        match = _supported(text)
        if match is None:
            raise _refusal(text)
        return cls(*match.group(1, 2)) if match.lastindex == 2 else cls(*match.group(3, 4))

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Compute the digest of `data`. Raises DigestUnsupported for an algorithm not in SUPPORTED_ALGORITHMS."""
        digester = new_hash(algorithm)
        digester.update(data)
        return cls(algorithm, digester.hexdigest())


def new_hash(algorithm: str) -> Hash:
    """A fresh hash object for a digest algorithm.

    Raises DigestUnsupported for any other name, although `hashlib` may know it (md5, sha1).
    """
    if algorithm not in SUPPORTED_ALGORITHMS:
        raise _unsupported(algorithm)
    return hashlib.new(algorithm)


def _refusal(text: str) -> DigestInvalid:
    if len(text) <= _MAX_UNSUPPORTED_CHARACTERS:
        match = _well_formed(text)
        if match is not None and match[1] not in SUPPORTED_ALGORITHMS:
            return _unsupported(match[1])
    return DigestInvalid(f"{excerpt(text)} is not a digest")


def _unsupported(algorithm: str) -> DigestUnsupported:
    accepted = " and ".join(SUPPORTED_ALGORITHMS)
    return DigestUnsupported(
        f"digest algorithm {excerpt(algorithm)} is not supported, only {accepted}",
        {"supported": list(SUPPORTED_ALGORITHMS)},
    )
