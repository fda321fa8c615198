"""Counting pulls. A pull itself writes nothing: counts gather in memory, wait in Valkey, and arrive here in batches."""

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from haven_core.db import backend
from haven_core.db.fields import encode_digest
from haven_core.db.transactions import run_write
from haven_core.domain.origin import Origin
from haven_core.events.outbox import publish_many
from haven_registry.models import PullBatch, PullDaily

if TYPE_CHECKING:
    import redis  # a quarter of a second to import, and no other room of a pull needs it

QUEUE = "haven:pulls"
BATCHES_PER_DRAIN = 1000

_log = logging.getLogger("haven.pulls")
_ADD = """(repository_id, manifest_digest, tag_name, day) DO UPDATE SET pulls = pull_daily.pulls + excluded.pulls,
  last_pulled_at = CASE WHEN pull_daily.last_pulled_at < excluded.last_pulled_at
                   THEN excluded.last_pulled_at ELSE pull_daily.last_pulled_at END"""


class PullCount(NamedTuple):
    """n pulls of a manifest on one day (UTC), the last of them at last_at; tag: the name asked for, '' when by
    digest."""

    repository_id: int
    digest: str
    tag: str
    day: date
    n: int
    last_at: datetime


class Pull(NamedTuple):
    """One pull of a manifest: an event "manifest.pulled"."""

    at: datetime
    repository_id: int
    digest: str
    tag: str
    puller: Origin


def apply_pull_batch(batch_id: UUID, counts: Iterable[PullCount], pulls: Sequence[Pull] = ()) -> bool:
    """Add a batch, exactly once: False when it was added before. Repositories that are gone are skipped.

    counts go into the sums, pulls into the outbox.

    Locks: repository (KEY SHARE, by id), pull_daily (upsert, by its key).
    """
    merged: dict[tuple[int, str, str, date], tuple[int, datetime]] = {}
    for count in counts:
        repository_id, digest, tag, day, n, last_at = count
        before, latest = merged.get((repository_id, digest, tag, day), (0, last_at))
        merged[repository_id, digest, tag, day] = (before + n, max(latest, last_at))
    repositories = sorted({key[0] for key in merged} | {pull.repository_id for pull in pulls})

    def work() -> bool:
        batch = [(batch_id, timezone.now())]
        if not backend.insert(
            PullBatch, ["batch_id", "applied_at"], batch, on_conflict="DO NOTHING", returning=("batch_id",)
        ):
            return False
        if not repositories:
            return True
        there = {
            row[0]: row[1:]
            for row in backend.sql(
                f"SELECT id, project_id, full_name FROM repository WHERE id IN ({backend.placeholders(repositories)}) "
                "ORDER BY id" + backend.lock("KEY SHARE", "repository"),
                *repositories,
            )
        }
        rows = [(*key, *merged[key]) for key in sorted(merged) if key[0] in there]
        backend.insert(
            PullDaily,
            ["repository", "manifest_digest", "tag_name", "day", "pulls", "last_pulled_at"],
            rows,
            on_conflict=_ADD,
        )
        publish_many(
            "manifest.pulled", [_event(pull, *there[pull.repository_id]) for pull in pulls if pull[1] in there]
        )
        return True

    return run_write(work)


def drain(queue: "redis.Redis") -> int:
    """Add the batches waiting in Valkey; returns how many. A batch leaves the list after its transaction, so a crash in
    between offers it again, which its id makes harmless; two workers at once do each other's work, not twice the counting.

    A batch is `{"id": uuid, "at": time, "counts": [[repository id, digest, tag or '', day, n], …], "pulls": [[seconds,
    repository id, digest, tag or '', name, address], …]}`; what can't be read is logged and dropped.
    """
    for number in range(BATCHES_PER_DRAIN):
        text: Any = queue.lindex(QUEUE, 0)
        if text is None:
            return number
        try:
            batch_id, counts, pulls = _read_batch(text)
        except (ValueError, TypeError, KeyError):
            _log.exception("dropped a batch of pull counts that can't be read")
        else:
            apply_pull_batch(batch_id, counts, pulls)
        queue.lrem(QUEUE, 1, text)  # by value: at the head there may be another by now
    return BATCHES_PER_DRAIN


def _event(pull: Pull, project_id: int, full_name: str) -> tuple[datetime, dict[str, Any]]:
    payload = {
        "repository": pull.repository_id, "project": project_id, "name": full_name, "digest": pull.digest,
        "tag": pull.tag, "by": pull.puller.name, "address": pull.puller.address,
    }  # fmt: skip
    return pull.at, payload


def _read_batch(text: bytes) -> tuple[UUID, list[PullCount], list[Pull]]:
    document = json.loads(text)
    at = datetime.fromisoformat(document["at"])
    counts = [
        PullCount(int(repository_id), str(digest), str(tag), date.fromisoformat(day), int(n), at)
        for repository_id, digest, tag, day, n in document["counts"]
    ]
    pulls = [
        Pull(datetime.fromtimestamp(seconds, UTC), int(repository_id), str(digest), str(tag), Origin(name, address))
        for seconds, repository_id, digest, tag, name, address in document.get("pulls", [])
    ]
    for count in counts:
        encode_digest(count.digest)
    return UUID(document["id"]), counts, pulls


def forget_pull_batches(before: datetime) -> int:
    """Drop the ids of batches that nobody will offer again; returns how many."""
    return int(PullBatch.objects.filter(applied_at__lt=before).delete()[0])
