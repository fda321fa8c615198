"""Reading the configuration, from this process's memory nearly always."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from haven_core.conf import config
from haven_core.configuration.keys import KEYS
from haven_core.configuration.models import Setting
from haven_core.db import backend
from haven_core.sealing import unseal

STALENESS_SECONDS = 5.0  # how late a change is seen, in another process than the one that made it
SEALING_PURPOSE = "configuration"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Values of every key as of `version`; secrets are still sealed. until: monotonic seconds."""

    version: int
    values: Mapping[str, Any]
    sealed: Mapping[str, bytes]
    until: float


_lock = threading.Lock()
_snapshot: _Snapshot | None = None


def value(name: str) -> Any:
    """The value of a key that is no secret, at most STALENESS_SECONDS old. No statement, or one by primary key; after a
    change two. A name that is no key is a KeyError."""
    return _current().values[name]


def secret(name: str) -> str:
    """A secret in clear, '' when it is not set. Raises Unsealable."""
    fixed = config().fixed_keys.get(name)
    if fixed is not None:
        return str(fixed)
    sealed = _current().sealed.get(name)
    return unseal(sealed, purpose=SEALING_PURPOSE, place=place_of(name)).decode() if sealed else ""


def restore_window() -> timedelta:
    """How long what is deleted from now on can be restored; 0: not at all. As fresh as `value`."""
    fixed = config().restore_window
    return timedelta(days=value("restore_window_days")) if fixed is None else fixed


def all_values() -> Mapping[str, Any]:
    """Every key that is no secret, as of now."""
    return _read().values


def is_editable(name: str) -> bool:
    """Whether the environment leaves this key to the administrator."""
    return name not in config().fixed_keys


def place_of(name: str) -> str:
    """Where a secret is sealed for."""
    return f"setting/sealed/{name}"


def forget_configuration() -> None:
    """Read again at the next question; called after a local change."""
    global _snapshot
    with _lock:
        _snapshot = None


def _current() -> _Snapshot:
    global _snapshot  # replaced as a whole, so readers need no lock
    known = _snapshot
    if known is not None and time.monotonic() < known.until:
        return known
    if known is not None and known.version == _version():
        fresh = _Snapshot(known.version, known.values, known.sealed, time.monotonic() + STALENESS_SECONDS)
    else:
        fresh = _read()
    with _lock:
        if _snapshot is known:  # else somebody forgot or replaced it while we read
            _snapshot = fresh
    return fresh


def _version() -> int:
    rows = backend.sql("SELECT number FROM setting_version WHERE id = 1")
    return int(rows[0][0]) if rows else 0


def _read() -> _Snapshot:
    """The version first: a change that comes between the two statements is then read again, never missed."""
    version = _version()
    values = {key.name: key.default for key in KEYS.values() if not key.is_secret}
    values["token_expiration"] = max(1, int(config().token_lifetime.total_seconds() // 60))
    sealed: dict[str, bytes] = {}
    for name, stored, secret_text in Setting.objects.values_list("name", "value", "sealed"):
        if name in values:
            values[name] = stored
        elif name in KEYS and secret_text is not None:
            sealed[name] = bytes(secret_text)
    values |= {name: fixed for name, fixed in config().fixed_keys.items() if name in values}
    return _Snapshot(version, MappingProxyType(values), sealed, time.monotonic() + STALENESS_SECONDS)
