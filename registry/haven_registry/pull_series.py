"""How often things were pulled, day by day. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Max, QuerySet, Sum

from haven_registry.models import PullDaily

_Point = tuple[date, int, datetime | None]

MAX_TAGS = 100
"""Tags that are shown, the most pulled first."""


@dataclass(frozen=True, slots=True)
class Series:
    """Pulls under one name. daily: a number for each day, the oldest first; total: their sum. pulled_at: the last, None
    without any, or when no times are kept."""

    name: str
    total: int
    daily: list[int]
    pulled_at: datetime | None


@dataclass(frozen=True, slots=True)
class PullSeries:
    """first, last: the days (UTC) that `daily` of all series reach over. ever: pulls since the beginning. all: under
    whatever name; by_digest: under none."""

    first: date
    last: date
    ever: int
    all: Series
    by_digest: Series
    tags: list[Series]


def read_pulls(repository_id: int, *, days: int, today: date, digest: str | None = None) -> PullSeries:
    """Of a repository, or of one manifest in it, for the `days` that end today. Four statements."""
    first = today - timedelta(days=days - 1)
    rows = PullDaily.objects.filter(repository_id=repository_id)
    if digest is not None:
        rows = rows.filter(manifest_digest=digest)
    within = rows.filter(day__gte=first, day__lte=today, pulls__gt=0)
    named = within.exclude(tag_name="").values_list("tag_name").annotate(total=Sum("pulls"))
    names = [name for name, _ in named.order_by("-total", "tag_name")[:MAX_TAGS]]
    by_name = within.filter(tag_name__in=["", *names]).values_list("tag_name", "day")
    found: dict[str, list[_Point]] = {}
    for name, day, pulls, at in _points(by_name):
        found.setdefault(name, []).append((day, pulls, at))
    everything = _points(within.values_list("day"))
    return PullSeries(
        first=first,
        last=today,
        ever=rows.aggregate(total=Sum("pulls"))["total"] or 0,
        all=_series("", everything, first, days),
        by_digest=_series("", found.get("", []), first, days),
        tags=[_series(name, found[name], first, days) for name in names if name in found],
    )


def daily_pulls(
    repository_ids: Collection[int], *, days: int, today: date, digest: str | None = None
) -> dict[int, list[int]]:
    """A number for each of the `days` that end today, the oldest first, of each repository, or of the manifest `digest` in
    each. One statement."""
    first = today - timedelta(days=days - 1)
    rows = PullDaily.objects.filter(repository_id__in=repository_ids, day__gte=first, day__lte=today)
    if digest is not None:
        rows = rows.filter(manifest_digest=digest)
    found = {repository_id: [0] * days for repository_id in repository_ids}
    for repository_id, day, pulls, _ in _points(rows.values_list("repository_id", "day")):
        found[repository_id][(day - first).days] = pulls
    return found


def _points(rows: "QuerySet[Any, Any]") -> list[Any]:
    """Values, then the number and the last time of each."""
    return list(rows.annotate(total=Sum("pulls"), last=Max("last_pulled_at")).order_by())


def _series(name: str, points: list[_Point], first: date, days: int) -> Series:
    daily = [0] * days
    for day, pulls, _ in points:
        daily[(day - first).days] = pulls
    return Series(name, sum(daily), daily, max((at for _, _, at in points if at is not None), default=None))
