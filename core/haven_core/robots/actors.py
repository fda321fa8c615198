"""From a robot to an Actor: by a login, and by a token issued after one."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.domain.rights import Permission, Rights, with_implied_pull
from haven_core.robots.names import login_name, parse_login
from haven_core.robots.secrets import is_generated, matches_generated

STALENESS_SECONDS = 5.0  # how long a token of a robot that was changed in another process may still be honoured

_FIND = (
    "SELECT r.id, r.epoch, r.is_disabled, r.expires_at, s.id, s.hash, s.expires_at FROM robot r "
    "LEFT JOIN project p ON p.id = r.project_id LEFT JOIN robot_secret s ON s.robot_id = r.id WHERE r.name = %s AND "
)
_READ = (
    "SELECT r.name, r.expires_at, r.project_id, p.name, g.scope, g.project_id, g.access FROM robot r "
    "LEFT JOIN project p ON p.id = r.project_id LEFT JOIN robot_permission g ON g.robot_id = r.id "
    "WHERE r.id = %s AND r.epoch = %s AND NOT r.is_disabled AND p.deleted_at IS NULL"
)


class StoredSecret(NamedTuple):
    """A live secret."""

    secret_id: int
    hash: str


@dataclass(frozen=True, slots=True)
class RobotLogin:
    """A robot that somebody wants to log in as; without live secrets when it is disabled or expired."""

    robot_id: int
    epoch: int
    secrets: tuple[StoredSecret, ...]

    def proven_by(self, password: str) -> StoredSecret | None:
        """The generated secret that `password` is."""
        generated = [stored for stored in self.secrets if is_generated(stored.hash)]
        return next((stored for stored in generated if matches_generated(password, stored.hash)), None)

    @property
    def chosen(self) -> StoredSecret | None:
        """The secret that a person chose; there is one at most, for choosing one replaces all others."""
        return next((stored for stored in self.secrets if not is_generated(stored.hash)), None)


class _Known(NamedTuple):
    actor: Actor
    expires_at: datetime | None


_cache: "TimedCache[tuple[int, int], _Known]" = TimedCache(seconds=STALENESS_SECONDS, limit=20_000)


def find_login(username: str) -> RobotLogin | None:
    """The robot of this login name as it is now; None when there is none. One SQL statement, or none."""
    parsed = parse_login(username)
    if parsed is None:
        return None
    if parsed.project:
        rows = backend.sql(f"{_FIND} p.name = %s AND p.deleted_at IS NULL", parsed.name, parsed.project)
    else:
        rows = backend.sql(f"{_FIND} r.project_id IS NULL", parsed.name)
    if not rows:
        return None
    robot_id, epoch, is_disabled, expires_at = rows[0][:4]
    if is_disabled or _is_over(expires_at):
        return RobotLogin(robot_id, epoch, ())
    live = tuple(StoredSecret(row[4], row[5]) for row in rows if row[4] is not None and not _is_over(row[6]))
    return RobotLogin(robot_id, epoch, live)


def current_robot(robot_id: int, epoch: int) -> Actor | None:
    """The robot as it is now, or None when it is disabled, expired, deleted or changed since `epoch`.

    One SQL statement by primary key, or none. A yes may be STALENESS_SECONDS old, but never older than the robot's
    expiry; a no is always asked.
    """
    known = _cache.get((robot_id, epoch))
    if known is None:
        known = _read(robot_id, epoch)
        if known is None:
            return None
        _cache.put((robot_id, epoch), known)
    return None if _is_over(known.expires_at) else known.actor


def forget_robots() -> None:
    """Drop what this process remembers of robots; called after a local change of one."""
    _cache.clear()


def _read(robot_id: int, epoch: int) -> _Known | None:
    rows = backend.sql(_READ, robot_id, epoch)
    if not rows:
        return None
    name, expires_at, own_project, project_name = rows[0][:4]
    granted = [(scope, project_id, access) for *_, scope, project_id, access in rows if scope is not None]
    actor = Actor(
        kind="robot",
        user_id=0,
        name=login_name(name, project_name or ""),
        is_sysadmin=False,
        epoch=epoch,
        robot_id=robot_id,
        rights=_rights(granted, implies_pull=own_project is not None),
    )
    return _Known(actor, backend.as_datetime(expires_at) if expires_at else None)


def _rights(granted: list[tuple[str, int | None, str]], *, implies_pull: bool) -> Rights:
    places: dict[str | int, frozenset[Permission]] = {}
    for scope, project_id, access in granted:
        pairs = frozenset((resource, action) for resource, action in json.loads(access))
        places[project_id or scope] = with_implied_pull(pairs) if implies_pull else pairs
    return Rights(
        system=places.get("system", frozenset()),
        everywhere=places.get("all", frozenset()),
        projects={place: pairs for place, pairs in places.items() if isinstance(place, int)},
    )


def _is_over(expires_at: datetime | None) -> bool:
    return expires_at is not None and backend.as_datetime(expires_at) <= timezone.now()
