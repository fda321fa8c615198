"""Counting pulls. A pull itself writes nothing: reads gather in memory, wait in Valkey (pull_queue), and arrive here in
batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from haven_core.configuration import selectors as configuration
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import Origin
from haven_core.events.outbox import publish_many
from haven_registry.models import PullBatch, PullDaily

QUEUE = "haven:pulls"

_ADD = """(repository_id, manifest_digest, tag_name, day) DO UPDATE SET pulls = pull_daily.pulls + excluded.pulls,
  last_pulled_at = CASE WHEN excluded.last_pulled_at IS NULL OR pull_daily.last_pulled_at > excluded.last_pulled_at
                   THEN pull_daily.last_pulled_at ELSE excluded.last_pulled_at END"""


class PullCount(NamedTuple):
    """n pulls of a manifest on one day (UTC), the last of them at last_at (None: its time is not kept); tag: the name
    asked for, '' when by digest. n is 0 for a child that was read after its index, and for what a scanner read: it was
    pulled then, and is not counted."""

    repository_id: int
    digest: str
    tag: str
    day: date
    n: int
    last_at: datetime | None


class Pull(NamedTuple):
    """A pull of a manifest, or that many equal ones at once: an event "manifest.pulled"."""

    at: datetime
    repository_id: int
    digest: str
    tag: str
    puller: Origin
    times: int = 1


def apply_pull_batch(batch_id: UUID, counts: Iterable[PullCount], pulls: Sequence[Pull] = ()) -> bool:
    """Add a batch, exactly once: False when it was added before. Repositories that are gone are skipped.

    counts go into the sums as far as the configuration has them kept, pulls into the outbox.

    Locks: repository (KEY SHARE, by id), pull_daily (upsert, by its key).
    """
    merged: dict[tuple[int, str, str, date], tuple[int, datetime | None]] = {}
    for repository_id, digest, tag, day, n, last_at in _kept(counts):
        before, last = merged.get((repository_id, digest, tag, day), (0, None))
        merged[repository_id, digest, tag, day] = (before + n, latest(last, last_at))
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
        upsert_pulls({key: values for key, values in merged.items() if key[0] in there})
        publish_many(
            "manifest.pulled", [_event(pull, *there[pull.repository_id]) for pull in pulls if pull[1] in there]
        )
        return True

    return run_write(work)


def _kept(counts: Iterable[PullCount]) -> Iterator[PullCount]:
    """What is left of counts by pull_count_update_disable and pull_time_update_disable (harbor: onPull,
    src/controller/event/handler/internal/artifact.go)."""
    is_counted = not configuration.value("pull_count_update_disable")
    is_timed = not configuration.value("pull_time_update_disable")
    for count in counts:
        n, last_at = count.n if is_counted else 0, count.last_at if is_timed else None
        if n or last_at:
            yield PullCount(count.repository_id, count.digest, count.tag, count.day, n, last_at)


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two times, of which either may be unknown."""
    return max((each for each in (one, other) if each is not None), default=None)


def upsert_pulls(sums: Mapping[tuple[int, str, str, date], tuple[int, datetime | None]]) -> None:
    """Add numbers of pulls and the times of the last, by repository id, digest, tag and day, inside a transaction.
    Locks: pull_daily (upsert, by its key), repository (KEY SHARE, of new rows)."""
    backend.insert(
        PullDaily, ["repository", "manifest_digest", "tag_name", "day", "pulls", "last_pulled_at"],
        [(*key, *sums[key]) for key in sorted(sums)], on_conflict=_ADD,
    )  # fmt: skip


def _event(pull: Pull, project_id: int, full_name: str) -> tuple[datetime, dict[str, Any]]:
    payload = {
        "repository": pull.repository_id, "project": project_id, "name": full_name, "digest": pull.digest,
        "tag": pull.tag, "by": pull.puller.name, "address": pull.puller.address,
        "times": pull.times,
    }  # fmt: skip
    return pull.at, payload


def forget_pull_batches(before: datetime) -> int:
    """Drop the ids of batches that nobody will offer again; returns how many."""
    return int(PullBatch.objects.filter(applied_at__lt=before).delete()[0])
