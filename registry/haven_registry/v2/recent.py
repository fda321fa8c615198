"""Reads that were allowed a moment ago.

A pull is many requests with one token. The first of a kind is routed, identified and authorised in full; the same token
asking for the same path again within SECONDS goes straight to its handler. Only the permission is remembered: whether
the manifest or blob is there is asked each time (see remembered), so a delete is seen at once.

A right that is taken away may work SECONDS longer than the caches below allow (rbac.access and accounts.actors: 5 s
each), 7 s in all; the design's bound is 10.
"""

import time
from collections.abc import Callable

from haven_registry.v2.http import Request, Response

SECONDS = 2.0
_LIMIT = 10_000

Read = Callable[[Request], Response]

_allowed: dict[tuple[str, str], tuple[float, Read]] = {}


def find(request: Request) -> Read | None:
    """The handler for a GET or HEAD that this token was allowed on this path lately."""
    token: str | None = request.environ.get("HTTP_AUTHORIZATION")
    entry = _allowed.get((token, request.path)) if token else None
    return entry[1] if entry is not None and entry[0] > time.monotonic() else None


def remember(request: Request, read: Read) -> None:
    """Keep `read` for the bearer of this token. Passwords are not kept: theirs are checked each time, so that a changed
    one ends at once."""
    token: str = request.environ.get("HTTP_AUTHORIZATION", "")
    if token[:7].lower() != "bearer ":
        return
    if len(_allowed) >= _LIMIT:
        _allowed.clear()
    _allowed[(token, request.path)] = (time.monotonic() + SECONDS, read)


def forget() -> None:
    """Drop everything (tests)."""
    _allowed.clear()
