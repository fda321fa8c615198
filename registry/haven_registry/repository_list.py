"""Repositories as the API lists them. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, QuerySet, Sum

from haven_core.db.lists import Column, Kind, Listing
from haven_core.domain.conditions import ListQuery
from haven_registry.artifact_list import base_artifacts
from haven_registry.errors import RepositoryUnknown
from haven_registry.models import Manifest, PullDaily, Repository

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


def list_repositories(project_ids: Any, query: ListQuery) -> tuple[list[RepositoryView], int]:
    """A page of the repositories of some projects (ids, or a query of them), and the number of all. Five statements."""
    found = LISTING.narrow(Repository.objects.filter(project_id__in=project_ids, deleted_at=None), query)
    return _views(LISTING.page(found, query).values_list(*_COLUMNS)), found.count()


def find_repository(project_id: int, name: str) -> RepositoryView:
    """A live repository by its name below the project. Raises RepositoryUnknown."""
    found = Repository.objects.filter(project_id=project_id, name=name, deleted_at=None)
    views = _views(found.values_list(*_COLUMNS))
    if not views:
        raise RepositoryUnknown
    return views[0]


def find_repositories(ids: Collection[int]) -> dict[int, RepositoryView]:
    """Live repositories by id. Four statements."""
    found = Repository.objects.filter(id__in=ids, deleted_at=None)
    return {view.id: view for view in _views(found.values_list(*_COLUMNS))}


def _views(rows: "Iterable[Any]") -> list[RepositoryView]:
    found = list(rows)
    ids = [row[0] for row in found]
    artifacts = _by_repository(base_artifacts(Manifest.objects.filter(repository_id__in=ids)), ids, Count("id"))
    pushed = _by_repository(Manifest.objects.filter(repository_id__in=ids, deleted_at=None), ids, Max("pushed_at"))
    pulls = _by_repository(PullDaily.objects.filter(repository_id__in=ids), ids, Sum("pulls"))
    return [
        RepositoryView(
            row_id, project_id, full_name, description, created_at,
            artifacts.get(row_id, 0), pulls.get(row_id, 0), pushed.get(row_id, created_at),
        )
        for row_id, project_id, full_name, description, created_at in found
    ]  # fmt: skip


def _by_repository(rows: "QuerySet[Any]", ids: Collection[int], number: Any) -> dict[int, Any]:
    return dict(rows.values_list("repository_id").annotate(number=number).order_by()) if ids else {}
