"""The keys that sign registry tokens: ES256, in the database, two alive while they change."""

import base64
import hashlib
import json
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from haven_core.configuration import selectors as configuration
from haven_core.db.transactions import run_write
from haven_core.sealing import seal, unseal
from haven_core.tokens.models import SigningKey

LEEWAY = timedelta(seconds=60)  # clocks of replicas and clients may differ by this much
SIGNS_AFTER = timedelta(
    seconds=60
)  # every process has read a new key (REFRESH_SECONDS) before the first token under it
REFRESH_SECONDS = 30.0
RELOAD_SECONDS = 1.0  # unknown key ids make a process read the table at most this often

_MAX_MINUTES = 10 * 365 * 24 * 60
_PURPOSE = "signing-key"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str
    public: ec.EllipticCurvePublicKey
    sealed: bytes
    created_at: datetime


class _Ring:
    """This process's view of the table. Thread-safe: readers take one reference, a reload replaces it whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._private: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._read_at = float("-inf")

    def public(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """The public key `kid`. An unknown one may be new: the table is read again, RELOAD_SECONDS apart."""
        key = self._keys.get(kid)
        if key is None:
            self._refresh(RELOAD_SECONDS)
            key = self._keys.get(kid)
        return key.public if key else None

    def signer(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """The youngest key older than SIGNS_AFTER; with none that old, the oldest. Makes the first key."""
        self._refresh(REFRESH_SECONDS)
        if not self._keys:
            ensure_key()
            self._refresh(0.0)
        keys = sorted(self._keys.values(), key=lambda key: (key.created_at, key.kid))
        settled = [key for key in keys if key.created_at <= timezone.now() - SIGNS_AFTER]
        chosen = settled[-1] if settled else keys[0]
        private = self._private.get(chosen.kid)
        if private is None:
            private = self._private[chosen.kid] = _open(chosen)
        return chosen.kid, private

    def _refresh(self, older_than_seconds: float) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < older_than_seconds:
                return
            keys = {
                row.kid: self._keys.get(row.kid)
                or _Key(row.kid, _public(row.public_key), bytes(row.private_key), row.created_at)
                for row in SigningKey.objects.all()
            }
            self._keys = keys
            self._private = {kid: private for kid, private in self._private.items() if kid in keys}
            self._read_at = time.monotonic()


_ring = _Ring()


def signing_key() -> tuple[str, ec.EllipticCurvePrivateKey]:
    """The id and private half of the key that signs now. Raises sealing.Unsealable under a wrong HAVEN_SECRET_KEY."""
    return _ring.signer()


def public_key(kid: str) -> ec.EllipticCurvePublicKey | None:
    """The key that verifies tokens naming `kid`; None when there is none (any more)."""
    return _ring.public(kid)


def forget_keys() -> None:
    """Make this process read its keys again."""
    _ring.clear()


def ensure_key() -> None:
    """Make the first key, at installation. Two processes doing so at once make two, and both verify: no harm."""
    if not SigningKey.objects.exists():
        _insert(timezone.now())


def rotate_key() -> str:
    """Add a key and drop those no living token can name; returns the new key's id.

    The new key signs after SIGNS_AFTER. A key is dropped when its successor has signed for the longest life of a token.
    """
    now = timezone.now()
    kid = _insert(now)
    outlived = now - (SIGNS_AFTER + timedelta(seconds=REFRESH_SECONDS) + longest_lifetime() + LEEWAY)
    successor = SigningKey.objects.filter(created_at__lt=outlived).order_by("-created_at", "-kid").first()
    if successor is not None:
        run_write(lambda: SigningKey.objects.filter(created_at__lt=successor.created_at).delete())
    _ring.clear()
    _log.info("signing key rotated: %s", kid)
    return kid


def _insert(now: datetime) -> str:
    private = ec.generate_private_key(ec.SECP256R1())
    kid = _thumbprint(private.public_key())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    sealed = seal(pem, purpose=_PURPOSE, place=_place(kid))
    run_write(
        lambda: SigningKey.objects.create(kid=kid, private_key=sealed, public_key=public_pem.decode(), created_at=now)
    )
    return kid


def _open(key: _Key) -> ec.EllipticCurvePrivateKey:
    pem = unseal(key.sealed, purpose=_PURPOSE, place=_place(key.kid))
    private = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private


def _public(pem: str) -> ec.EllipticCurvePublicKey:
    public = serialization.load_pem_public_key(pem.encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


def _place(kid: str) -> str:
    return f"signing_key:private_key:{kid}"


def _thumbprint(public: ec.EllipticCurvePublicKey) -> str:
    """RFC 7638: the hash of the key's JWK, so an id names one key for ever."""
    numbers = public.public_numbers()
    coordinates = {name: _base64(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
    jwk = json.dumps({"crv": "P-256", "kty": "EC", **coordinates}, separators=(",", ":"), sort_keys=True)
    return _base64(hashlib.sha256(jwk.encode()).digest())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def longest_lifetime() -> timedelta:
    """How long a token is good for: the key token_expiration, ten years at most."""
    return timedelta(minutes=min(configuration.value("token_expiration"), _MAX_MINUTES))
