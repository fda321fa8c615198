"""From a personal access token to an Actor: by a login, and by a registry token issued after one."""

import json
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.domain.personal_tokens import TokenScope, hash_secret, is_secret
from haven_core.rbac.reach import through_token, user_actor
from haven_core.uses import PERSONAL_TOKENS

STALENESS_SECONDS = 5.0  # how long a registry token may outlive its personal token, revoked in another process

_READ = (
    "SELECT a.id, a.username, a.is_sysadmin, a.is_auditor, a.credential_epoch, t.id, t.scope, t.projects, t.expires_at "
    "FROM personal_token t JOIN account a ON a.id = t.user_id WHERE a.is_active AND a.deleted_at IS NULL AND "
)


class _Known(NamedTuple):
    actor: Actor
    expires_at: datetime


_cache: "TimedCache[tuple[int, int], _Known]" = TimedCache(seconds=STALENESS_SECONDS, limit=20_000)


def find_holder(username: str, secret: str, *, address: str) -> Actor | None:
    """Whose token `secret` is, with what it may use of their rights; None when it is no live one of theirs.

    One SQL statement each time, so a token that is revoked, or whose owner is, ends at once in every process; none for
    what has not the form of a secret.
    """
    if not is_secret(secret):
        return None
    known = _holder(backend.sql(f"{_READ} t.hash = %s AND a.username = %s", hash_secret(secret), username))
    if known is None:
        return None
    PERSONAL_TOKENS.note(known.actor.token_id, address)
    return known.actor


def current_holder(token_id: int, epoch: int) -> Actor | None:
    """The owner of a token as of now, or None when the token is revoked or expired, or its owner disabled, deleted or
    changed since `epoch`.

    One SQL statement by primary key, or none. A yes may be STALENESS_SECONDS old, but never older than the token's
    expiry; a no is always asked.
    """
    known = _cache.get((token_id, epoch))
    if known is None:
        clearings = _cache.clearings
        known = _holder(backend.sql(f"{_READ} t.id = %s AND a.credential_epoch = %s", token_id, epoch))
        if known is None:
            return None
        _cache.put((token_id, epoch), known, clearings=clearings)
    return None if known.expires_at <= timezone.now() else known.actor


def forget_holders() -> None:
    """Drop what this process remembers of holders; called after a local change of a token or an account."""
    _cache.clear()


def _holder(rows: list[backend.Row]) -> _Known | None:
    if not rows:
        return None
    user_id, name, is_sysadmin, is_auditor, epoch, token_id, scope, projects, expires = rows[0]
    expires_at = backend.as_datetime(expires)
    if expires_at <= timezone.now():
        return None
    owner = user_actor(user_id, name, is_sysadmin=bool(is_sysadmin), is_auditor=bool(is_auditor), epoch=epoch)
    only = None if projects is None else json.loads(projects)
    places = None if only is None else frozenset(only)
    return _Known(through_token(owner, token_id=token_id, scope=TokenScope(scope), projects=places), expires_at)
