"""Passwords: the rule, the hash."""

import re

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from haven_core.errors import BadRequest

MIN_LENGTH, MAX_LENGTH = 8, 128


class Hasher(PBKDF2PasswordHasher):
    """PBKDF2-HMAC-SHA256 with Harbor's (and OWASP's) count: about 150 ms on purpose."""

    iterations = 600_000


def check_rule(password: str) -> None:
    """Harbor's rule: 8 to 128 characters with an upper-case letter, a lower-case letter and a digit. Raises BadRequest.

    The upper bound keeps a stranger from making the server hash megabytes.
    """
    long_enough = MIN_LENGTH <= len(password) <= MAX_LENGTH
    if not (long_enough and all(re.search(kind, password) for kind in ("[A-Z]", "[a-z]", "[0-9]"))):
        raise BadRequest(
            "the password must have 8 to 128 characters, with an upper-case letter, a lower-case letter and a digit"
        )


def hash_password(password: str) -> str:
    """The text to store. Slow; never inside a transaction."""
    hasher = Hasher()
    return hasher.encode(password, hasher.salt())


def matches(password: str, stored: str | None) -> bool:
    """Whether `password` is the stored one. The same cost without a stored one (None, ''), so time names no user."""
    hasher = Hasher()
    if not stored:
        hasher.encode(password, "no such account")
        return False
    return bool(hasher.verify(password, stored))
