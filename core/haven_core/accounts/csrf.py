"""Tokens against cross-site requests, as Harbor's (gorilla/csrf) work: a random value in a cookie, and the same value,
masked anew each time, in a header. The cookie's value is signed, so that a neighbouring host can't plant one it knows.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from haven_core.conf import config

COOKIE, HEADER, FORM_FIELD = "_gorilla_csrf", "X-Harbor-CSRF-Token", "gorilla.csrf.Token"
_BYTES = 32


def new_cookie() -> str:
    """A cookie's value."""
    secret = secrets.token_bytes(_BYTES)
    return base64.urlsafe_b64encode(secret + _signature(secret)).decode()


def is_genuine(cookie: str) -> bool:
    """Whether the cookie's value is one of new_cookie()."""
    return _secret_of(cookie) is not None


def token_for(cookie: str) -> str:
    """A token that belongs to a genuine cookie; a new text each time, so that compression can't leak it (BREACH)."""
    secret = _secret_of(cookie)
    assert secret is not None  # callers asked is_genuine, or made it
    mask = secrets.token_bytes(_BYTES)
    return base64.b64encode(mask + _xor(mask, secret)).decode()


def matches(token: str, cookie: str) -> bool:
    """Whether `token` was made for `cookie`, and `cookie` by us."""
    secret, raw = _secret_of(cookie), _decode(token, altchars=None)
    if secret is None or len(raw) != 2 * _BYTES:
        return False
    return hmac.compare_digest(_xor(raw[:_BYTES], raw[_BYTES:]), secret)


def _secret_of(cookie: str) -> bytes | None:
    raw = _decode(cookie, altchars=b"-_")
    secret = raw[:_BYTES]
    return secret if len(raw) == 2 * _BYTES and hmac.compare_digest(raw[_BYTES:], _signature(secret)) else None


def _signature(secret: bytes) -> bytes:
    key = hmac.digest(config().secret_key.encode(), b"haven csrf", hashlib.sha256)
    return hmac.digest(key, secret, hashlib.sha256)


def _decode(text: str, altchars: bytes | None) -> bytes:
    try:
        return base64.b64decode(text, altchars=altchars, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
