"""When and from where robots and personal tokens log in, told without a write in a login.

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
_MAX_ADDRESS_LENGTH = 64

_log = logging.getLogger("haven.uses")


class LastUses:
    """The last uses of one kind of secret in one process. note() is called by many threads; one background thread sends
    them on.

    queue: the hash in Valkey. update: the statement that writes one use: time, address, id and the time again; one that
    is later than it stays.
    """

    def __init__(self, *, queue: str, update: str) -> None:
        self._queue, self._update = queue, update
        self._lock = threading.Lock()
        self._uses: dict[int, tuple[datetime, str]] = {}
        self._thread: threading.Thread | None = None

    def note(self, secret_id: int, address: str) -> None:
        """A login with this secret now."""
        with self._lock:
            if secret_id in self._uses or len(self._uses) < MAX_SECRETS:
                self._uses[secret_id] = (timezone.now(), address[:_MAX_ADDRESS_LENGTH])
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="last-uses", daemon=True)
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
                client.hset(self._queue, mapping=fields)
        except RedisError as error:
            _log.warning("%s: last uses of %s secrets are lost: %s", self._queue, len(uses), error)

    def drain(self, queue: "redis.Redis") -> int:
        """Move what waits in Valkey to the table; returns how many secrets. What can't be read is dropped."""
        with queue.pipeline(transaction=True) as both:
            both.hgetall(self._queue)
            both.delete(self._queue)
            fields: dict[bytes, bytes] = both.execute()[0]
        uses: dict[int, tuple[datetime, str]] = {}
        for secret_id, text in fields.items():
            try:
                at, address = json.loads(text)
                uses[int(secret_id)] = (datetime.fromisoformat(at), str(address))
            except (ValueError, TypeError):
                _log.warning("%s: dropped a use that can't be read", self._queue)
        self.record(uses)
        return len(uses)

    def record(self, uses: Mapping[int, tuple[datetime, str]]) -> None:
        """Write last uses by secret id; a later one that is there already stays. One short transaction, not waiting for
        the disk. Locks: the secrets' rows, by id."""
        if not uses:
            return

        def write() -> None:
            for secret_id in sorted(uses):
                at, address = uses[secret_id]
                backend.sql(self._update, at, address, secret_id, at)

        run_write(write, is_durable=False)

    def _run(self) -> None:
        tick = threading.Event()
        while not tick.wait(FLUSH_SECONDS):
            self.flush()


ROBOT_SECRETS = LastUses(
    queue="haven:robot-use",
    update="UPDATE robot_secret SET last_used_at = %s, last_used_from = %s "
    "WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)",
)
PERSONAL_TOKENS = LastUses(
    queue="haven:personal-token-use",
    update="UPDATE personal_token SET last_used_at = %s, last_used_from = %s "
    "WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)",
)
