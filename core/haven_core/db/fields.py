"""Model fields that store the same thing the same way on both databases."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_ALGORITHMS = {"sha256": b"\x01", "sha512": b"\x02"}
_NAMES = {code: name for name, code in _ALGORITHMS.items()}


def encode_digest(text: str) -> bytes:
    """'sha256:<hex>' to one algorithm byte and the raw hash (33 or 65 bytes). The text must be a valid digest."""
    algorithm, _, encoded = text.partition(":")
    return _ALGORITHMS[algorithm] + bytes.fromhex(encoded)


def decode_digest(raw: bytes | memoryview) -> str:
    """The inverse of encode_digest."""
    value = bytes(raw)
    return f"{_NAMES[value[:1]]}:{value[1:].hex()}"


class DigestField(models.BinaryField):  # type: ignore[type-arg]
    """'sha256:<hex>' in Python; one algorithm byte and the raw hash in the database."""

    # what mypy's Django plugin takes a value for
    _pyi_private_set_type: str
    _pyi_private_get_type: str  # type: ignore[assignment]

    def get_prep_value(self, value: Any) -> Any:
        return encode_digest(value) if isinstance(value, str) else value

    def from_db_value(self, value: Any, _expression: Any, _connection: BaseDatabaseWrapper) -> str | None:
        return None if value is None else decode_digest(value)

    def to_python(self, value: Any) -> str | None:
        return value if value is None or isinstance(value, str) else decode_digest(value)


class NameField(models.CharField):  # type: ignore[type-arg]
    """Sorted by bytes on both databases, from one migration: collation "C" on PostgreSQL, BINARY on SQLite."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        parameters["collation"] = "C" if connection.vendor == "postgresql" else None
        return dict(parameters)
