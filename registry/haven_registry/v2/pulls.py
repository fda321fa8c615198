"""Counting pulls without writing: what was read gathers in memory and leaves in batches.

A pull adds to a dictionary. Every FLUSH_SECONDS a thread takes what there is and appends it, with an id, to a list in Valkey; a
Celery task settles what was a pull of what (services.pull_settling) and adds each batch to the tables exactly once. A
killed process loses at most FLUSH_SECONDS of them; without Valkey they stay in memory, and go when it is back.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from haven_core.conf import config
from haven_core.domain.actor import Actor
from haven_core.domain.origin import Origin
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.selectors import FoundManifest
from haven_registry.services.pull_settling import FLUSH_SECONDS
from haven_registry.services.pulls import QUEUE

if TYPE_CHECKING:
    import redis

MAX_READS = 50_000
"""Different reads that wait in a process; those beyond are counted as they were asked for, without their reader."""
MAX_APART = 4
"""Equal reads between two flushes that keep their own moments, and become an event each. Those beyond are told of
together, as of the moment of the last that has its own: one machine that asks for the same thing again and again."""
MAX_KEYS = 50_000
_DAY_SECONDS = 24 * 3600
_EPOCH = date(1970, 1, 1).toordinal()

REPLICATION_AGENTS = ("harbor-registry-client", "haven-registry-client")
"""How the User-Agent of a registry begins that copies from this one (harbor: src/pkg/registry/client.go)."""
_SCANNER = "scanner-"  # how Harbor names the robots it makes for scanners

_log = logging.getLogger("haven.pulls")
_Key = tuple[int, str, str, int]  # repository id, digest, tag or '', days since the epoch
_Head = tuple[int, str, str, str]  # repository id, digest, tag, who
# repository id, digest, tag or '', name, address, whether it is an index, whether a scanner's
_Read = tuple[int, str, str, str, str, bool, bool]
_Moments = list[float]  # seconds since the epoch, MAX_APART at most, and then how many more there were


class PullBuffer:
    """Reads of one process. note() is called by many threads; one background thread empties it."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._lock = threading.Lock()  # of the next three; held for nothing slow
        self._reads: dict[_Read, _Moments] = {}
        self._heads: dict[_Head, float] = {}
        self._counts: dict[_Key, int] = {}
        self._sending = threading.Lock()
        self._unsent = ""
        self._client: redis.Redis | None = None
        self._thread: threading.Thread | None = None

    def note(self, found: FoundManifest, tag: str, puller: Origin, *, is_scanner: bool = False) -> None:
        """A GET now, by the tag or ''."""
        now = time.time()
        is_index = found.media_type in INDEX_TYPES
        read = (found.repository_id, found.digest, tag, puller.name, puller.address, is_index, is_scanner)
        with self._lock:
            moments = self._reads.get(read)
            if moments is not None:
                if len(moments) < MAX_APART:
                    moments.append(now)
                elif len(moments) == MAX_APART:
                    moments.append(1)
                else:
                    moments[MAX_APART] += 1
            elif len(self._reads) < MAX_READS:
                self._reads[read] = [now]
            elif not is_scanner:
                key = (found.repository_id, found.digest, tag, int(now) // _DAY_SECONDS)
                if key in self._counts or len(self._counts) < MAX_KEYS:
                    self._counts[key] = self._counts.get(key, 0) + 1
            if self._thread is None:
                self._start()

    def note_head(self, found: FoundManifest, tag: str, puller: Origin) -> None:
        """A HEAD now, by the tag: the first since the last flush is what counts."""
        key = (found.repository_id, found.digest, tag, puller.name or puller.address)
        with self._lock:
            if key not in self._heads and len(self._heads) < MAX_KEYS:
                self._heads[key] = time.time()
            if self._thread is None:
                self._start()

    def flush(self) -> int:
        """Send what has gathered; returns the number of batches. One that failed is sent again as it was, with its id: it
        may have arrived before the connection broke, and counts once all the same."""
        from redis import RedisError  # a quarter of a second to import: not at the start of each worker

        sent = 0
        with self._sending:
            while text := self._unsent or self._take():
                self._unsent = text
                try:
                    self._queue().rpush(QUEUE, text)
                except RedisError as error:
                    _log.warning("pull counts wait for Valkey: %s", error)
                    break
                self._unsent, sent = "", sent + 1
        return sent

    def _take(self) -> str:
        """A batch of all that has gathered, '' of nothing."""
        with self._lock:
            reads, self._reads = self._reads, {}
            heads, self._heads = self._heads, {}
            counts, self._counts = self._counts, {}
        if not (reads or heads or counts):
            return ""
        return encode_batch(uuid.uuid4(), reads, heads, counts, datetime.now(UTC))

    def _queue(self) -> "redis.Redis":
        from redis import Redis

        if self._client is None:
            self._client = Redis.from_url(self._redis_url, socket_timeout=2, socket_connect_timeout=2)
        return self._client

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="pull-counts", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        tick = threading.Event()
        while not tick.wait(FLUSH_SECONDS):
            self.flush()


def encode_batch(
    batch_id: uuid.UUID,
    reads: Mapping[_Read, _Moments],
    heads: Mapping[_Head, float],
    counts: Mapping[_Key, int],
    now: datetime,
) -> str:
    """The text of one batch, as services.pull_queue reads it."""
    rows = [
        [repository_id, digest, tag, date.fromordinal(_EPOCH + day).isoformat(), number]
        for (repository_id, digest, tag, day), number in counts.items()
    ]
    heads_at = [[at, *head] for head, at in heads.items()]
    reads_at = [[at, *read, times] for read, moments in reads.items() for at, times in _apart(moments)]
    return json.dumps(
        {"id": str(batch_id), "at": now.isoformat(), "counts": rows, "reads": reads_at, "heads": heads_at}
    )


def _apart(moments: _Moments) -> Iterator[tuple[float, int]]:
    """Each moment, and how many equal reads it stands for."""
    *first, last = moments[:MAX_APART]
    yield from ((at, 1) for at in first)
    yield last, 1 + int(sum(moments[MAX_APART:]))


_buffer: PullBuffer | None = None


def is_scanner(actor: Actor) -> bool:
    """Whether a robot is one that Harbor's scanners pull by (`robot$project+scanner-…`): it looks, nobody uses.
    So is what Harbor does not count either, if told so (harbor: isScannerUser)."""
    return actor.is_robot and actor.name.rpartition("+")[2].rpartition("$")[2].startswith(_SCANNER)


def note(found: FoundManifest, tag: str, actor: Actor, address: str, agent: str, *, is_head: bool = False) -> None:
    """A manifest was read: by GET under the tag asked for or '', or by HEAD under a tag. address: the reader's. agent: the
    User-Agent."""
    global _buffer  # made at the first pull, after the server forked
    if agent.startswith(REPLICATION_AGENTS):
        return
    if _buffer is None:
        _buffer = PullBuffer(config().redis_url)
    puller = Origin(actor.name, address)
    if is_head:
        _buffer.note_head(found, tag, puller)
    else:
        _buffer.note(found, tag, puller, is_scanner=is_scanner(actor))


def flush() -> int:
    """Send this process's reads now; returns the number of batches (at a clean stop, and in tests)."""
    return _buffer.flush() if _buffer is not None else 0
