"""Changing the configuration."""

import socket
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from haven_core.configuration.keys import KEYS, split_endpoint
from haven_core.configuration.models import Setting, SettingsVersion
from haven_core.configuration.selectors import (
    SEALING_PURPOSE,
    all_values,
    forget_configuration,
    is_editable,
    place_of,
)
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest, Forbidden
from haven_core.sealing import seal

_CONNECT_SECONDS = 3.0


def update(changes: Mapping[str, Any]) -> None:
    """Set the given keys, all or none; other processes see it within selectors.STALENESS_SECONDS. Unknown keys are ignored
    (Harbor).

    Raises BadRequest for a value against its key, Forbidden for a key that the environment fixes.
    Locks: setting_version, so that of two updates the later one wins as a whole.
    """
    known = {name: value for name, value in changes.items() if name in KEYS}
    if problems := [text for name, value in known.items() if (text := KEYS[name].problem(value))]:
        raise BadRequest("; ".join(problems))
    if fixed := [name for name in known if not is_editable(name)]:
        raise Forbidden(f"{fixed[0]} is set by the environment of this installation and can't be changed here")
    _check_forwarding(known)
    if not known:
        return

    def write() -> None:
        now = timezone.now()
        backend.insert(
            SettingsVersion, ["id", "number"], [(1, 1)],
            on_conflict="(id) DO UPDATE SET number = setting_version.number + 1",
        )  # fmt: skip
        rows = [(name, *_stored(name, value), now) for name, value in sorted(known.items())]
        backend.insert(
            Setting, ["name", "value", "sealed", "updated_at"], rows, returning=("name",),
            on_conflict="(name) DO UPDATE SET value = excluded.value, sealed = excluded.sealed, "
            "updated_at = excluded.updated_at",
        )  # fmt: skip
        transaction.on_commit(forget_configuration)

    run_write(write)


def _stored(name: str, value: Any) -> tuple[Any, bytes | None]:
    if not KEYS[name].is_secret:
        return value, None
    return None, seal(value.encode(), purpose=SEALING_PURPOSE, place=place_of(name))


def _check_forwarding(known: Mapping[str, Any]) -> None:
    """An endpoint must answer when it is set, and without one the audit log can't be kept out of the database."""
    touched = {"audit_log_forward_endpoint", "skip_audit_log_database"} & known.keys()
    if not touched:
        return
    after = {**all_values(), **known}
    endpoint = after["audit_log_forward_endpoint"]
    if after["skip_audit_log_database"] and not endpoint:
        raise BadRequest("audit_log_forward_endpoint must be set to skip the audit log of the database")
    if known.get("audit_log_forward_endpoint"):
        address = split_endpoint(endpoint)
        try:
            socket.create_connection(address or ("", 0), timeout=_CONNECT_SECONDS).close()
        except OSError:
            raise BadRequest(f"audit_log_forward_endpoint: nothing answers at {endpoint}") from None
