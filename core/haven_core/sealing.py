"""Secrets at rest: AES-256-GCM under keys derived from HAVEN_SECRET_KEY, one per purpose; and what clients bring back as they
got it: HMAC-SHA256 under other ones."""

import functools
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from haven_core.conf import config

_NONCE_BYTES = 12
SIGNATURE_BYTES = 16


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


def sign(data: bytes, *, purpose: str) -> bytes:
    """SIGNATURE_BYTES that only this installation can make of the data. Compare with hmac.compare_digest."""
    return hmac.digest(_key(config().secret_key, purpose), data, "sha256")[:SIGNATURE_BYTES]


@functools.lru_cache(maxsize=16)
def _cipher(secret_key: str, purpose: str) -> AESGCM:
    return AESGCM(_key(secret_key, purpose))


@functools.lru_cache(maxsize=16)
def _key(secret_key: str, purpose: str) -> bytes:
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"haven {purpose}".encode())
    return derived.derive(secret_key.encode())
