"""Personal access tokens: what they may be for, and the form of their secrets. Pure.

A secret is a fixed prefix, 32 random letters and digits, and six that are their checksum: scanners of source code find it
by its form, and know without asking the server that it is no accident. Some 190 bits: nobody guesses that, so one SHA-256
is all its storage needs.
"""

import hashlib
import secrets
import string
import zlib
from enum import StrEnum

PREFIX = "haven_pat_"
_ALPHABET = string.digits + string.ascii_letters
_RANDOM, _CHECKSUM = 32, 6
_LENGTH = len(PREFIX) + _RANDOM + _CHECKSUM


class TokenScope(StrEnum):
    """What of its owner's rights a token may use. PULL and PUSH are for the registry alone, not for the REST API."""

    READ = "read"  # everything that is read and listed, and pull
    PULL = "pull"
    PUSH = "push"  # and pull
    FULL = "full"  # everything but the account itself


def generate_secret() -> str:
    """A new secret."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return PREFIX + body + _checksum(body)


def is_secret(text: str) -> bool:
    """Whether `text` has the form of a secret, its checksum included. Says nothing of whether it is one."""
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return False
    body, checksum = text[len(PREFIX) : -_CHECKSUM], text[-_CHECKSUM:]
    return set(body) <= set(_ALPHABET) and checksum == _checksum(body)


def hash_secret(secret: str) -> str:
    """What to store of generate_secret()'s: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    """CRC-32 in base 62."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
