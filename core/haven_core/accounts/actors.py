"""From an account to an Actor, and back to whether it still is one."""

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.rbac.reach import user_actor

STALENESS_SECONDS = 5.0  # how long a token of a disabled account, or with an old epoch, may still be honoured

_cache: TimedCache[tuple[int, int], Actor] = TimedCache(seconds=STALENESS_SECONDS, limit=20_000)


def current_actor(user_id: int, epoch: int) -> Actor | None:
    """The account as it is now, or None when it is disabled, deleted or its credentials changed since `epoch`.

    One SQL statement by primary key, or none. A yes may be STALENESS_SECONDS old; a no is always asked.
    """
    actor = _cache.get((user_id, epoch))
    if actor is not None:
        return actor
    rows = backend.sql(
        "SELECT username, is_sysadmin, is_auditor FROM account "
        "WHERE id = %s AND credential_epoch = %s AND is_active AND deleted_at IS NULL",
        user_id, epoch,
    )  # fmt: skip
    if not rows:
        return None
    name, is_sysadmin, is_auditor = rows[0]
    actor = user_actor(user_id, name, is_sysadmin=bool(is_sysadmin), is_auditor=bool(is_auditor), epoch=epoch)
    _cache.put((user_id, epoch), actor)
    return actor


def forget_actors() -> None:
    """Drop what this process remembers of accounts; called after a local change of one."""
    _cache.clear()
