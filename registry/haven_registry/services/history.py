"""How long the history of tags is kept; the newest entry of a tag that exists never goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from haven_core.configuration import selectors as configuration
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_registry.models import Tag, TagHistory

BATCH = 1000
BATCHES = 100
"""At most, in one call; the next call begins again."""


def forget_old_history() -> int:
    """Remove entries older than the configuration's tag_history_days (0: none); returns how many. One that keeps something
    restorable stays, and so does the newest of each tag that exists: it says who set it, and when.

    Reads all old entries, so once a day is enough. Locks: tag_history (UPDATE, SKIP LOCKED), BATCH rows a transaction.
    """
    days, now = int(configuration.value("tag_history_days")), timezone.now()
    if not days:
        return 0
    total, last = 0, 0
    for _ in range(BATCHES):
        page = _due(now, now - timedelta(days=days)).filter(id__gt=last).order_by("id")
        ids = list(page.values_list("id", flat=True)[:BATCH])
        if not ids:
            break
        total, last = total + _forget(_due(now, now - timedelta(days=days)), ids), ids[-1]
    return total


def _due(now: datetime, before: datetime) -> "QuerySet[TagHistory]":
    same = {"repository_id": OuterRef("repository_id"), "name": OuterRef("name")}
    is_followed = Exists(TagHistory.objects.filter(**same, id__gt=OuterRef("pk")))
    is_unused = Q(manifest=None) | Q(restorable_until__lte=now)
    return TagHistory.objects.filter(
        is_unused, Q(is_followed) | ~Q(Exists(Tag.objects.filter(**same))), ended_at__lt=before
    )


def _forget(due: "QuerySet[TagHistory]", ids: Sequence[int]) -> int:
    def work() -> int:
        chosen = TagHistory.objects.filter(id__in=ids).order_by("id").values_list("id")
        held = [row[0] for row in backend.locked(chosen, "UPDATE", skip_locked=True)]
        return int(due.filter(id__in=held).delete()[0])  # asked again: a tag may have come back

    return run_write(work)
