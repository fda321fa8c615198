"""Secrets at rest: AES-256-GCM under keys derived from HAVEN_SECRET_KEY, one per purpose."""

import functools
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from haven_core.conf import config

_NONCE_BYTES = 12


class Unsealable(Exception):
    """The secret was sealed under another HAVEN_SECRET_KEY, for another place, or is damaged."""


def seal(secret: bytes, *, purpose: str, place: str) -> bytes:
    """Encrypt. `place` (table, column, row) is authenticated, so a ciphertext moved to another row opens nowhere."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(config().secret_key, purpose).encrypt(nonce, secret, place.encode())


def unseal(sealed: bytes, *, purpose: str, place: str) -> bytes:
    """The inverse of seal(). Raises Unsealable."""
    try:
        return _cipher(config().secret_key, purpose).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()
        )
    except (InvalidTag, ValueError):
        raise Unsealable(f"the secret at {place} does not open with this HAVEN_SECRET_KEY") from None


@functools.lru_cache(maxsize=16)
def _cipher(secret_key: str, purpose: str) -> AESGCM:
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"haven {purpose}".encode())
    return AESGCM(derived.derive(secret_key.encode()))
