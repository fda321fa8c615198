"""Repositories as the API lists them. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Exists, Max, OuterRef, QuerySet, Sum

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_registry.artifact_filters import cosign_tags
from haven_registry.errors import RepositoryUnknown
from haven_registry.models import Manifest, ManifestChild, PullDaily, Repository, Tag
from haven_registry.oci.media_types import INDEX_TYPES

LISTING = Listing(
    filters={
        "name": Column("full_name"),
        "repository_id": Column("id", Kind.NUMBER),
        "project_id": Column("project_id", Kind.NUMBER),
        "description": Column("description"),
        "creation_time": Column("created_at", Kind.MOMENT),
    },
    sorts={"name": "full_name", "repository_id": "id", "creation_time": "created_at"},
    order=("-created_at", "-id"),
)
_COLUMNS = ("id", "project_id", "full_name", "description", "created_at")
_PLACE = ("id", "project_id", "full_name")


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """A live repository. artifacts: what its list of artifacts shows; updated_at: of the newest push."""

    id: int
    project_id: int
    full_name: str
    description: str
    created_at: datetime
    artifacts: int
    pulls: int
    updated_at: datetime


class RepositoryPlace(NamedTuple):
    """Which live repository something is in."""

    id: int
    project_id: int
    full_name: str


def list_repositories(project_ids: Any, query: ListQuery) -> tuple[list[RepositoryView], int]:
    """A page of the repositories of some projects (ids, or a query of them), and the number of all. Five statements."""
    found = LISTING.narrow(seen_repositories().filter(project_id__in=project_ids), query)
    return _views(LISTING.page(found, query).values_list(*_COLUMNS)), total(found)


def find_repository(project_id: int, name: str) -> RepositoryView:
    """A live repository by its name below the project. Raises RepositoryUnknown."""
    found = seen_repositories().filter(project_id=project_id, name=name)
    views = _views(found.values_list(*_COLUMNS))
    if not views:
        raise RepositoryUnknown
    return views[0]


def locate_repository(project_id: int, name: str) -> RepositoryPlace:
    """A live repository by its name below the project, for who wants to know nothing more of it. Raises
    RepositoryUnknown."""
    found = seen_repositories().filter(project_id=project_id, name=name)
    row = found.values_list(*_PLACE).first()
    if row is None:
        raise RepositoryUnknown
    return RepositoryPlace(*row)


def locate_repositories(ids: Collection[int]) -> dict[int, RepositoryPlace]:
    """Live repositories by id. One statement."""
    found = seen_repositories().filter(id__in=ids)
    return {row[0]: RepositoryPlace(*row) for row in found.values_list(*_PLACE)}


def seen_repositories() -> "QuerySet[Repository, Repository]":
    """Live ones that had a manifest at some time."""
    return Repository.objects.filter(deleted_at=None, appeared_at__isnull=False)


def listed_artifacts(ids: Collection[int]) -> "QuerySet[Manifest, Manifest]":
    """The artifacts that the lists of these repositories show: artifact_list.base_artifacts, for counting. What is left
    out is looked up once for all repositories, where a question for each manifest takes eight times as long."""
    cosign = cosign_tags().filter(repository_id__in=ids)
    tagged = Tag.objects.filter(manifest_id=OuterRef("child_id"))
    untagged_children = ManifestChild.objects.filter(
        ~Exists(tagged), parent__repository_id__in=ids, parent__media_type__in=INDEX_TYPES, parent__deleted_at=None
    )
    live = Manifest.objects.filter(repository_id__in=ids, deleted_at=None, subject_digest=None)
    hidden = cosign.values("manifest_id"), untagged_children.values("child_id")
    return live.exclude(id__in=hidden[0]).exclude(id__in=hidden[1])


def _views(rows: "Iterable[Any]") -> list[RepositoryView]:
    found = list(rows)
    ids = [row[0] for row in found]
    artifacts = by_repository(listed_artifacts(ids), ids, Count("id"))
    pushed = by_repository(Manifest.objects.filter(repository_id__in=ids, deleted_at=None), ids, Max("pushed_at"))
    pulls = by_repository(PullDaily.objects.filter(repository_id__in=ids), ids, Sum("pulls"))
    return [
        RepositoryView(
            row_id, project_id, full_name, description, created_at,
            artifacts.get(row_id, 0), pulls.get(row_id, 0), pushed.get(row_id, created_at),
        )
        for row_id, project_id, full_name, description, created_at in found
    ]  # fmt: skip


def by_repository(rows: "QuerySet[Any]", ids: Collection[int], number: Any) -> dict[int, Any]:
    """An aggregate of rows for each repository that has any. One statement, or none."""
    return dict(rows.values_list("repository_id").annotate(number=number).order_by()) if ids else {}
