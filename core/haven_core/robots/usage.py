"""When and from where robots log in, told without a write in a login.

Uses gather in memory, the last one for each secret. Every FLUSH_SECONDS a thread puts them into a hash in Valkey, and a
Celery task moves them to the table. A killed process, or lost Valkey, loses at most the last minute; a login never
waits for either.
"""

import json
import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.transactions import run_write

if TYPE_CHECKING:
    import redis  # a quarter of a second to import: not at the start of each worker

FLUSH_SECONDS = 30.0
MAX_SECRETS = 20_000
QUEUE = "haven:robot-use"
_MAX_ADDRESS_LENGTH = 64

_log = logging.getLogger("haven.robots")


class UsageBuffer:
    """The last uses in one process. note() is called by many threads; one background thread sends them on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[int, tuple[datetime, str]] = {}
        self._thread: threading.Thread | None = None

    def note(self, secret_id: int, address: str) -> None:
        """A login with this secret now."""
        with self._lock:
            if secret_id in self._uses or len(self._uses) < MAX_SECRETS:
                self._uses[secret_id] = (timezone.now(), address[:_MAX_ADDRESS_LENGTH])
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="robot-uses", daemon=True)
                self._thread.start()

    def take(self) -> dict[int, tuple[datetime, str]]:
        """What has gathered; it is gone from here."""
        with self._lock:
            uses, self._uses = self._uses, {}
        return uses

    def flush(self) -> None:
        """Send what has gathered. Dropped when Valkey is away: it is news, not a record."""
        from redis import Redis, RedisError

        uses = self.take()
        if not uses:
            return
        fields = {str(secret_id): json.dumps([at.isoformat(), address]) for secret_id, (at, address) in uses.items()}
        try:
            with Redis.from_url(config().redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
                client.hset(QUEUE, mapping=fields)
        except RedisError as error:
            _log.warning("last uses of %s robot secrets are lost: %s", len(uses), error)

    def _run(self) -> None:
        tick = threading.Event()
        while not tick.wait(FLUSH_SECONDS):
            self.flush()


_buffer = UsageBuffer()


def note(secret_id: int, address: str) -> None:
    """A robot logged in with this secret, from this address."""
    _buffer.note(secret_id, address)


def take() -> dict[int, tuple[datetime, str]]:
    """What this process has not sent yet (tests)."""
    return _buffer.take()


def drain(queue: "redis.Redis") -> int:
    """Move what waits in Valkey to the table; returns how many secrets. What can't be read is dropped."""
    with queue.pipeline(transaction=True) as both:
        both.hgetall(QUEUE)
        both.delete(QUEUE)
        fields: dict[bytes, bytes] = both.execute()[0]
    uses: dict[int, tuple[datetime, str]] = {}
    for secret_id, text in fields.items():
        try:
            at, address = json.loads(text)
            uses[int(secret_id)] = (datetime.fromisoformat(at), str(address))
        except (ValueError, TypeError):
            _log.warning("dropped a use of a robot secret that can't be read")
    record(uses)
    return len(uses)


def record(uses: Mapping[int, tuple[datetime, str]]) -> None:
    """Write last uses by secret id; a later one that is there already stays. One short transaction, not waiting for the
    disk. Locks: robot_secret, by id."""
    if not uses:
        return

    def write() -> None:
        for secret_id in sorted(uses):
            at, address = uses[secret_id]
            backend.sql(
                "UPDATE robot_secret SET last_used_at = %s, last_used_from = %s "
                "WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)",
                at, address, secret_id, at,
            )  # fmt: skip

    run_write(write, is_durable=False)
