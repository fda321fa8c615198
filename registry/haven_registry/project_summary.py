"""A project as a whole: what it holds and how much it is used. Reads only."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from haven_core.db import backend
from haven_registry.models import PullDaily
from haven_registry.repository_summary import PULL_DAYS


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """repositories: live ones that were pushed to; tags: of them. pulls: of each of PULL_DAYS, the newest last; before:
    in as many days before those.

    stored: bytes of the project's blobs, each counted once, what is in the trash included; named: the same counted once
    for each repository that has them.
    """

    repositories: int
    tags: int
    stored: int
    named: int
    pulls: tuple[int, ...]
    before: int

    @property
    def saved_percent(self) -> int:
        """How much of what the repositories name is saved because they share it."""
        return round(100 * (self.named - self.stored) / self.named) if self.named > self.stored else 0

    @property
    def change_percent(self) -> int | None:
        """Of the pulls against the days before; None when there were none then."""
        return round(100 * (sum(self.pulls) - self.before) / self.before) if self.before else None


_NUMBERS = """
SELECT
  (SELECT count(*) FROM repository WHERE project_id = %s AND deleted_at IS NULL AND appeared_at IS NOT NULL),
  (SELECT count(*) FROM tag t JOIN repository r ON r.id = t.repository_id
   WHERE r.project_id = %s AND r.deleted_at IS NULL),
  (SELECT coalesce(sum(size), 0) FROM project_blob WHERE project_id = %s),
  (SELECT coalesce(sum(pb.size), 0) FROM project_blob pb JOIN repository_blob rb ON rb.project_blob_id = pb.id
   WHERE pb.project_id = %s)
"""
_FIRST = """
SELECT * FROM (
  SELECT 'size' AS what, r.name, sum(pb.size) AS number FROM repository r
  JOIN repository_blob rb ON rb.repository_id = r.id JOIN project_blob pb ON pb.id = rb.project_blob_id
  WHERE r.project_id = %s AND r.deleted_at IS NULL AND r.appeared_at IS NOT NULL
  GROUP BY r.id, r.name ORDER BY 3 DESC, r.name LIMIT %s
) AS largest
UNION ALL
SELECT * FROM (
  SELECT 'pulls' AS what, r.name, sum(d.pulls) AS number FROM repository r JOIN pull_daily d ON d.repository_id = r.id
  WHERE r.project_id = %s AND r.deleted_at IS NULL AND r.appeared_at IS NOT NULL AND d.day >= %s
  GROUP BY r.id, r.name HAVING sum(d.pulls) > 0 ORDER BY 3 DESC, r.name LIMIT %s
) AS pulled
"""


def first_repositories(project_id: int, *, limit: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Live repositories by the bytes stored for them, and by their pulls in PULL_DAYS where there were any; the first of
    each, by name below the project. One statement."""
    first = timezone.now().date() - timedelta(days=PULL_DAYS - 1)
    rows = [
        (what, name, int(number))
        for what, name, number in backend.sql(_FIRST, project_id, limit, project_id, first, limit)
    ]
    largest = [(name, number) for what, name, number in rows if what == "size"]
    return largest, [(name, number) for what, name, number in rows if what == "pulls"]


def summarise_project(project_id: int) -> ProjectSummary:
    """Two statements; they go through all that the project has, so a page asks for this after it is shown."""
    today = timezone.now().date()
    first = today - timedelta(days=PULL_DAYS - 1)
    recent: Any = PullDaily.objects.filter(
        repository__project_id=project_id, day__gte=first - timedelta(days=PULL_DAYS), day__lte=today
    )
    pulls, before = [0] * PULL_DAYS, 0
    for day, number in recent.values_list("day").annotate(number=Sum("pulls")).order_by():
        if day >= first:
            pulls[(day - first).days] = number
        else:
            before += number
    [(repositories, tags, stored, named)] = backend.sql(_NUMBERS, *[project_id] * 4)
    return ProjectSummary(int(repositories), int(tags), int(stored), int(named), tuple(pulls), before)
