"""Counting pulls without writing: counts gather in memory and leave in batches, and so does who pulled what.

A pull adds to a dictionary and to a list. Every FLUSH_SECONDS a thread takes both and appends them, with an id, to a list
in Valkey; a Celery task adds each batch to the tables exactly once (services.pulls). A killed process loses at most
FLUSH_SECONDS of them; without Valkey they stay in memory, up to MAX_KEYS different counts and MAX_PULLS single pulls, and
go when it is back.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from haven_core.conf import config
from haven_core.domain.origin import Origin
from haven_registry.services.pulls import QUEUE

if TYPE_CHECKING:
    import redis

FLUSH_SECONDS = 5.0
MAX_KEYS = 50_000
MAX_PULLS = 50_000
_DAY_SECONDS = 24 * 3600
_EPOCH = date(1970, 1, 1).toordinal()

_log = logging.getLogger("haven.pulls")
_Key = tuple[int, str, str, int]  # repository id, digest, tag or '', days since the epoch
_Pull = tuple[float, int, str, str, str, str]  # seconds since the epoch, the first three of a key, name, address


class PullBuffer:
    """Counts of one process. count() is called by many threads; one background thread empties it."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._lock = threading.Lock()
        self._counts: dict[_Key, int] = {}
        self._pulls: list[_Pull] = []
        self._client: redis.Redis | None = None
        self._thread: threading.Thread | None = None

    def count(self, repository_id: int, digest: str, tag: str, puller: Origin) -> None:
        """One pull now."""
        now = time.time()
        key = (repository_id, digest, tag, int(now) // _DAY_SECONDS)
        with self._lock:
            if len(self._pulls) < MAX_PULLS:
                self._pulls.append((now, repository_id, digest, tag, puller.name, puller.address))
            if key in self._counts or len(self._counts) < MAX_KEYS:
                self._counts[key] = self._counts.get(key, 0) + 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pull-counts", daemon=True)
                self._thread.start()

    def flush(self) -> int:
        """Send what has gathered; returns how many keys went. On failure they are put back."""
        from redis import RedisError  # a quarter of a second to import: not at the start of each worker

        with self._lock:
            counts, self._counts = self._counts, {}
            pulls, self._pulls = self._pulls, []
        if not counts:
            return 0
        try:
            self._queue().rpush(QUEUE, encode_batch(uuid.uuid4(), counts, pulls, datetime.now(UTC)))
        except RedisError as error:
            _log.warning("pull counts wait for Valkey: %s", error)
            with self._lock:
                for key, number in counts.items():
                    self._counts[key] = self._counts.get(key, 0) + number
                self._pulls = (pulls + self._pulls)[:MAX_PULLS]
            return 0
        return len(counts)

    def _queue(self) -> "redis.Redis":
        from redis import Redis

        if self._client is None:
            self._client = Redis.from_url(self._redis_url, socket_timeout=2, socket_connect_timeout=2)
        return self._client

    def _run(self) -> None:
        tick = threading.Event()
        while not tick.wait(FLUSH_SECONDS):
            self.flush()


def encode_batch(batch_id: uuid.UUID, counts: Mapping[_Key, int], pulls: Iterable[_Pull], now: datetime) -> str:
    """The text of one batch, as services.pulls reads it."""
    rows = [
        [repository_id, digest, tag, date.fromordinal(_EPOCH + day).isoformat(), number]
        for (repository_id, digest, tag, day), number in counts.items()
    ]
    return json.dumps({"id": str(batch_id), "at": now.isoformat(), "counts": rows, "pulls": list(pulls)})


_buffer: PullBuffer | None = None


def count(repository_id: int, digest: str, tag: str, puller: Origin) -> None:
    """One pull of a manifest by GET, under the tag asked for or ''."""
    global _buffer  # made at the first pull, after the server forked
    if _buffer is None:
        _buffer = PullBuffer(config().redis_url)
    _buffer.count(repository_id, digest, tag, puller)


def flush() -> int:
    """Send this process's counts now (at a clean stop, and in tests)."""
    return _buffer.flush() if _buffer is not None else 0
