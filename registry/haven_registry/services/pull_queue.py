"""From the batches that the registry's processes leave in Valkey to counted pulls."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

from haven_core.configuration import selectors as configuration
from haven_core.db.fields import encode_digest
from haven_core.domain.origin import Origin
from haven_registry.models import ManifestChild
from haven_registry.services.pull_settling import (
    SETTLE_SECONDS,
    WINDOW_SECONDS,
    Head,
    Key,
    Lately,
    Read,
    Settled,
)
from haven_registry.services.pulls import QUEUE, Pull, PullCount, apply_pull_batch

if TYPE_CHECKING:
    import redis

BATCHES_PER_DRAIN = 1000
BATCHES_AT_ONCE = 32
_FUTURE_SECONDS = 60  # a clock that is wrong by more holds nothing up
_KEYS_AT_ONCE = 500
_TAG, _INDEX = "haven:pulled:tag", "haven:pulled:index"

_log = logging.getLogger("haven.pulls")
_T = TypeVar("_T")


class Batch(NamedTuple):
    """What a process saw in an interval that ended at `at`. counts: what it could not keep one by one."""

    id: UUID
    at: datetime
    reads: Sequence[Read]
    heads: Sequence[Head]
    counts: Sequence[PullCount]


def drain(queue: "redis.Redis", now: float | None = None) -> int:
    """Settle and add the batches that have waited SETTLE_SECONDS; returns how many.

    A batch leaves the list after its transaction, so a crash in between offers it again, which its id makes harmless; two
    workers at once do each other's work, not twice the counting. What is remembered for later batches is in Valkey for
    WINDOW_SECONDS: lost, a pull is counted without its tag, or a child beside its index.

    A batch is `{"id": uuid, "at": time, "reads": [[seconds, repository id, digest, tag or '', name, address, is index,
    is scanner, times], …], "heads": [[seconds, repository id, digest, tag, who], …], "counts": [[repository id, digest,
    tag or '', day, n], …]}`; what can't be read is logged and dropped.
    """
    done = 0
    while done < BATCHES_PER_DRAIN:
        texts: Any = queue.lrange(QUEUE, 0, BATCHES_AT_ONCE - 1)
        known = {text: _read_batch(text) for text in texts}
        # of a long list the second half is read only for what came before the first half's reads
        near = texts if len(texts) < BATCHES_AT_ONCE else texts[: BATCHES_AT_ONCE // 2]
        due = [text for text in near if _is_due(known[text], time() if now is None else now)]
        if not due:
            break
        batches = [batch for text in due if (batch := known[text]) is not None]
        settled = _settle(queue, batches, [batch for batch in known.values() if batch is not None])
        _remember(queue, batches)
        for text in due:
            if (batch := known[text]) is not None:
                apply_pull_batch(batch.id, *_counted(batch, settled))
            queue.lrem(QUEUE, 1, text)  # by value: at the head there may be another by now
        done += len(due)
    return done


def _is_due(batch: Batch | None, now: float) -> bool:
    return batch is None or not now - SETTLE_SECONDS < batch.at.timestamp() < now + _FUTURE_SECONDS


def _counted(batch: Batch, settled: dict[Read, Settled]) -> tuple[list[PullCount], list[Pull]]:
    """One entry a day and tag, and the pulls themselves. What a scanner reads moves the time of the last pull only, and
    not even that by scanner_skip_update_pulltime."""
    skips_scanners = configuration.value("scanner_skip_update_pulltime")
    numbers: Counter[tuple[int, str, str, date]] = Counter()
    last: dict[tuple[int, str, str, date], datetime] = {}
    pulls = []
    for read in batch.reads:
        if read.is_scanner and skips_scanners:
            continue
        _, tag, is_pull = settled[read]
        at = datetime.fromtimestamp(read.at, UTC)
        key = (read.repository_id, read.digest, tag, at.date())
        numbers[key] += read.times if is_pull else 0
        last[key] = max(at, last.get(key, at))
        if is_pull:
            puller = Origin(read.name, read.address)
            pulls.append(Pull(at, read.repository_id, read.digest, tag, puller, read.times))
    return [*batch.counts, *(PullCount(*key, numbers[key], at) for key, at in last.items())], pulls


def _settle(queue: "redis.Redis", due: Iterable[Batch], seen: Iterable[Batch]) -> dict[Read, Settled]:
    """What the reads of `due` were, by what there is in `seen` and by what was remembered. Two statements in 500 digests
    at most."""
    reads = {read for batch in due for read in batch.reads}
    by_digest = [read for read in reads if not read.tag]
    parents = _parents(by_digest)
    above = {(read.repository_id, parent, read.key[2]) for read in by_digest for parent in parents[read[1:3]]}
    heads, indexes = _recall(queue, {read.key for read in by_digest}, above)
    for batch in seen:
        heads += batch.heads
        indexes += [(read.key, read.at) for read in batch.reads if read.is_index]
    lately = Lately(heads, indexes)
    return {read: lately.settle(read, parents[read[1:3]]) for read in reads}


def _parents(reads: Iterable[Read]) -> dict[tuple[int, str], set[str]]:
    """Digests of the indexes that name what was read, by repository and digest; trashed ones too."""
    found: dict[tuple[int, str], set[str]] = defaultdict(set)
    for some in _parts({read[1:3] for read in reads}):
        links = ManifestChild.objects.filter(
            child__repository_id__in={key[0] for key in some}, child__digest__in={key[1] for key in some}
        )
        columns = ("child__repository_id", "child__digest", "parent__digest")
        for repository_id, digest, parent in links.values_list(*columns):
            found[repository_id, digest].add(parent)
    return found


def _recall(
    queue: "redis.Redis", asked: Collection[Key], above: Collection[Key]
) -> tuple[list[Head], list[tuple[Key, float]]]:
    """What is remembered of HEADs of `asked` and of GETs of `above`."""
    heads, indexes = [], []
    for key, text in _remembered(queue, _TAG, asked):
        at, _, tag = text.partition(" ")
        heads.append(Head(float(at), key[0], key[1], tag, key[2]))
    for key, text in _remembered(queue, _INDEX, above):
        indexes.append((key, float(text)))
    return heads, indexes


def _remembered(queue: "redis.Redis", kind: str, keys: Iterable[Key]) -> Iterable[tuple[Key, str]]:
    for some in _parts(keys):
        values: Any = queue.mget([_name(kind, key) for key in some])
        yield from ((key, value.decode()) for key, value in zip(some, values, strict=True) if value is not None)


def _remember(queue: "redis.Redis", batches: Iterable[Batch]) -> None:
    """Before the batches are added: a crash in between does it twice, never not at all."""
    values: dict[str, tuple[float, str]] = {}
    for batch in batches:
        kept = [(_name(_TAG, head.key), head.at, f"{head.at} {head.tag}") for head in batch.heads]
        kept += [(_name(_INDEX, read.key), read.at, str(read.at)) for read in batch.reads if read.is_index]
        for name, at, text in kept:
            values[name] = max((at, text), values.get(name, (at, text)))
    for some in _parts(values.items()):
        with queue.pipeline(transaction=False) as pipe:
            for name, (_, text) in some:
                pipe.set(name, text, ex=WINDOW_SECONDS)
            pipe.execute()


def _parts(values: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(values)
    while part := list(islice(rest, _KEYS_AT_ONCE)):
        yield part


def _name(kind: str, key: Key) -> str:
    return f"{kind}:{key[0]}:{key[1]}:{key[2]}"


def _read_batch(text: bytes) -> Batch | None:
    try:
        document = json.loads(text)
        at = datetime.fromisoformat(document["at"]).astimezone(UTC)
        batch = Batch(
            UUID(document["id"]),
            at,
            [
                Read(
                    float(when),
                    int(repository_id),
                    str(digest),
                    str(tag),
                    str(name),
                    str(address),
                    bool(is_index),
                    bool(is_scanner),
                    int(times),
                )
                for when, repository_id, digest, tag, name, address, is_index, is_scanner, times in document["reads"]
            ],
            [
                Head(float(when), int(repository_id), str(digest), str(tag), str(who))
                for when, repository_id, digest, tag, who in document["heads"]
            ],
            [
                PullCount(int(repository_id), str(digest), str(tag), date.fromisoformat(day), int(n), at)
                for repository_id, digest, tag, day, n in document["counts"]
            ],
        )
        for digest in (*(read.digest for read in batch.reads), *(count.digest for count in batch.counts)):
            encode_digest(digest)
    except (ValueError, TypeError, KeyError):
        _log.exception("dropped a batch of pull counts that can't be read")
        return None
    return batch
