"""Secrets of robots: making, storing, comparing.

A generated secret is 32 letters and digits, some 190 bits. Nobody guesses that, at whatever speed, so one SHA-256 is
all its storage needs, and a login costs microseconds instead of the 150 ms that protect a password somebody thought
up. A secret that a person chose is such a password, and is hashed like one.
"""

import hashlib
import hmac
import secrets
import string

from haven_core.accounts import passwords

_FAST = "sha256$"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32


def generate_secret() -> str:
    """A new secret that satisfies Harbor's rule (upper case, lower case, digit)."""
    while True:
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        if all(any(map(kind, secret)) for kind in (str.isupper, str.islower, str.isdigit)):
            return secret


def hash_generated(secret: str) -> str:
    """What to store for generate_secret()'s."""
    return _FAST + hashlib.sha256(secret.encode()).hexdigest()


def hash_chosen(secret: str) -> str:
    """What to store for somebody's own. Slow; never inside a transaction. Raises BadRequest when it breaks the rule."""
    passwords.check_rule(secret)
    return passwords.hash_password(secret)


def is_generated(stored: str) -> bool:
    """Whether `stored` came from hash_generated()."""
    return stored.startswith(_FAST)


def matches_generated(secret: str, stored: str) -> bool:
    """Whether `secret` is the one behind a hash of hash_generated(); the same time for every wrong one."""
    candidate = _FAST + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    return hmac.compare_digest(candidate, stored)
