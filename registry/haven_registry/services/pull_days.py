"""How long single days of pulls are kept; what is older is added up, so that no count ever falls."""

from datetime import date, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_registry.models import Manifest, PullDaily
from haven_registry.services.pulls import latest, upsert_pulls

DAYS_KEPT = 400
"""Days of which each has its own number."""
BATCH = 1000


def add_up_old_days(today: date | None = None, *, limit: int = BATCH) -> int:
    """Move rows of days before the last DAYS_KEPT into one row per manifest and tag; returns how many. `limit` in a
    transaction. Locks: pull_daily (UPDATE, SKIP LOCKED; then upsert, by its key)."""
    first = (today or timezone.now().date()) - timedelta(days=DAYS_KEPT)
    return _move(PullDaily.objects.filter(day__lt=first, day__gt=PullDaily.EARLIER), limit)


def add_up_gone_manifests(*, limit: int = BATCH) -> int:
    """Move sums of manifests that are purged into one row per repository; returns how many. Reads all sums, so once a day
    is enough. Locks: as add_up_old_days."""
    manifest = Manifest.objects.filter(repository_id=OuterRef("repository_id"), digest=OuterRef("manifest_digest"))
    orphans = PullDaily.objects.filter(~Q(Exists(manifest)), day=PullDaily.EARLIER)
    return _move(orphans.exclude(manifest_digest=PullDaily.GONE), limit)


def _move(doomed: "QuerySet[PullDaily]", limit: int) -> int:
    def work() -> int:
        chosen = doomed.order_by("id").values_list("id")[:limit]
        ids = [row[0] for row in backend.locked(chosen, "UPDATE", skip_locked=True)]
        columns = ("repository_id", "manifest_digest", "tag_name", "pulls", "last_pulled_at")
        rows = list(doomed.filter(id__in=ids).values_list(*columns))  # second statement: what they are now
        there = set(
            Manifest.objects.filter(
                repository_id__in={row[0] for row in rows}, digest__in={row[1] for row in rows}
            ).values_list("repository_id", "digest")
        )
        sums: dict[tuple[int, str, str, date], tuple[int, datetime | None]] = {}
        for repository_id, digest, tag, pulls, at in rows:
            place = (digest, tag) if (repository_id, digest) in there else (PullDaily.GONE, "")
            key = (repository_id, *place, PullDaily.EARLIER)
            before, last = sums.get(key, (0, None))
            sums[key] = (before + pulls, latest(last, at))
        PullDaily.objects.filter(id__in=ids).delete()
        upsert_pulls(sums)
        return len(rows)

    return run_write(work)
