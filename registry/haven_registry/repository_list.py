"""Repositories as the API lists them. Reads only."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from haven_core.db import backend
from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_registry.artifact_filters import COSIGN_TAGS
from haven_registry.artifacts.kinds import BY_COSIGN_TAG
from haven_registry.errors import RepositoryUnknown
from haven_registry.models import Repository
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
    """A page of the repositories of some projects (ids, or a query of them), and the number of all. Four statements."""
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
    rows = backend.sql(
        "SELECT id, project_id, full_name FROM repository "
        "WHERE full_name = (SELECT name FROM project WHERE id = %s) || '/' || %s "
        "AND deleted_at IS NULL AND appeared_at IS NOT NULL",
        project_id, name,
    )  # fmt: skip
    if not rows:
        raise RepositoryUnknown
    return RepositoryPlace(*rows[0])


def locate_repositories(ids: Collection[int]) -> dict[int, RepositoryPlace]:
    """Live repositories by id. One statement."""
    found = seen_repositories().filter(id__in=ids)
    return {row[0]: RepositoryPlace(*row) for row in found.values_list(*_PLACE)}


def seen_repositories() -> "QuerySet[Repository, Repository]":
    """Live ones that had a manifest at some time."""
    return Repository.objects.filter(deleted_at=None, appeared_at__isnull=False)


# All are counted in an index, without their rows, and what the list leaves out, which is little, is taken off: a question
# for each manifest takes eight times as long. Of what could be an index a row is read only where it has children.
_CONTENTS = """
SELECT repository_id, max(pushed), sum(number) FROM (
  SELECT m.repository_id, max(m.pushed_at) AS pushed, count(*) AS number
  FROM manifest m WHERE m.repository_id IN ({repositories}) AND m.deleted_at IS NULL AND m.subject_digest IS NULL
  GROUP BY m.repository_id
  UNION ALL
  SELECT m.repository_id, max(m.pushed_at), 0
  FROM manifest m WHERE m.repository_id IN ({repositories}) AND m.deleted_at IS NULL AND m.subject_digest IS NOT NULL
  GROUP BY m.repository_id
  UNION ALL
  SELECT m.repository_id, max(m.pushed_at), -count(*)
  FROM manifest m WHERE m.id IN (
    SELECT t.manifest_id FROM tag t JOIN manifest a ON a.id = t.manifest_id
    WHERE t.repository_id IN ({repositories}) AND t.name >= 'sha256-' AND t.name < 'sha512.' AND {is_cosign}
    AND a.kind IN ({kinds})
    UNION
    SELECT c.child_id FROM manifest_child c
    WHERE c.parent_id IN (SELECT id FROM manifest WHERE repository_id IN ({repositories}))
    AND EXISTS (
      SELECT 1 FROM manifest p WHERE p.id = c.parent_id AND p.media_type IN ({indexes}) AND p.deleted_at IS NULL
    )
    AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = c.child_id)
  ) AND m.deleted_at IS NULL AND m.subject_digest IS NULL
  GROUP BY m.repository_id
) AS parts GROUP BY repository_id
"""


class Contents(NamedTuple):
    """What is live in a repository. pushed_at: the newest; artifacts: how many its list shows."""

    pushed_at: datetime
    artifacts: int


def contents_of(ids: Collection[int]) -> dict[int, Contents]:
    """Of those repositories that hold anything. artifact_list.base_artifacts, for counting. One statement, or none."""
    if not ids:
        return {}
    text = _CONTENTS.format(
        repositories=backend.placeholders(ids),
        kinds=backend.placeholders(BY_COSIGN_TAG),
        indexes=backend.placeholders(INDEX_TYPES),
        is_cosign=backend.matches("t.name"),
    )
    rows = backend.sql(text, *ids, *ids, *ids, COSIGN_TAGS, *BY_COSIGN_TAG, *ids, *INDEX_TYPES)
    return {row_id: Contents(backend.as_datetime(pushed), int(artifacts)) for row_id, pushed, artifacts in rows}


def _pulls(ids: Collection[int]) -> dict[int, int]:
    """Of all time. One statement, or none."""
    if not ids:
        return {}
    rows = backend.sql(
        "SELECT repository_id, sum(pulls) FROM pull_daily "
        f"WHERE repository_id IN ({backend.placeholders(ids)}) GROUP BY repository_id",
        *ids,
    )
    return {row_id: int(pulls) for row_id, pulls in rows}


def _views(rows: "Iterable[Any]") -> list[RepositoryView]:
    found = list(rows)
    ids = [row[0] for row in found]
    contents, pulls = contents_of(ids), _pulls(ids)
    views = []
    for row_id, project_id, full_name, description, created_at in found:
        pushed_at, artifacts = contents.get(row_id, (created_at, 0))
        pulled = pulls.get(row_id, 0)
        views.append(
            RepositoryView(row_id, project_id, full_name, description, created_at, artifacts, pulled, pushed_at)
        )
    return views
