"""A project as a whole: what it holds and how much it is used. Reads only."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from haven_registry.models import ProjectBlob, PullDaily, RepositoryBlob, Tag
from haven_registry.repository_summary import PULL_DAYS


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """tags: of live repositories. stored: bytes of the project's blobs, each counted once, what is in the trash included;
    named: the same counted once for each repository that has them. pulls: of each of PULL_DAYS, the newest last; before:
    in as many days before those."""

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


def summarise_project(project_id: int) -> ProjectSummary:
    """Four statements; they go through all that the project has, so a page asks for this after it is shown."""
    named: Any = RepositoryBlob.objects.filter(repository__project_id=project_id)
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
    return ProjectSummary(
        tags=Tag.objects.filter(repository__project_id=project_id, repository__deleted_at=None).count(),
        stored=_sum(ProjectBlob.objects.filter(project_id=project_id), "size"),
        named=_sum(named, "project_blob__size"),
        pulls=tuple(pulls),
        before=before,
    )


def _sum(rows: Any, column: str) -> int:
    return int(rows.aggregate(total=Sum(column))["total"] or 0)
