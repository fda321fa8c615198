"""Telling the audit log what no other event tells."""

import logging
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from haven_core.audit.entries import API_WRITE, LOGIN, LOGOUT
from haven_core.domain.origin import Origin
from haven_core.events.outbox import publish

_log = logging.getLogger("haven.audit")
_NAMES = ("project_name", "username", "group_name", "name")
MAX_TEXT = 255


def record_api_write(
    origin: Origin, *, method: str, path: str, status: int, body: Any, resource: str = "", project: int | None = None,
    by_name: bool = False,
) -> None:  # fmt: skip
    """A request of the REST API that meant to change something, after its answer was made. path: below /api/v2.0. project:
    its id, where the path doesn't name it.

    Only the name that `body` gives a new thing is kept of it: the rest may hold secrets. Never raises for the database:
    the change is made, its answer must go out; the server's log has the line then.
    """
    name = resource or (_name_in(body) if method == "POST" else "")
    _try_to_publish(
        API_WRITE,
        by=origin.name, address=origin.address, method=method, path=path[:1000], status=status,
        resource=name, project=project, by_name=by_name,
    )  # fmt: skip


def record_login(origin: Origin, *, is_success: bool) -> None:
    """Somebody began a session, or failed to prove who they are (there also with Basic)."""
    _try_to_publish(LOGIN, by=_storable(origin.name), address=origin.address, is_success=is_success)


def record_logout(origin: Origin) -> None:
    """Somebody ended their session."""
    _try_to_publish(LOGOUT, by=origin.name, address=origin.address, is_success=True)


def _try_to_publish(topic: str, **payload: Any) -> None:
    try:
        publish(topic, timezone.now(), **payload)
    except DatabaseError:
        _log.exception("not in the audit log: %s %s", topic, payload)


def _name_in(body: Any) -> str:
    if not isinstance(body, Mapping):
        return ""
    return next((_storable(body[key]) for key in _NAMES if isinstance(body.get(key), str)), "")


def _storable(text: str) -> str:
    """No NUL and no half of a surrogate pair, which PostgreSQL refuses in JSON."""
    return text[:MAX_TEXT].replace("\0", "").encode("utf-8", "replace").decode()
