"""Reading projects, only ever those the caller may see."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from haven_core.cve.services import Allowlist, allowlists
from haven_core.db import backend
from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.domain.roles import strongest
from haven_core.projects.contents import repository_counts
from haven_core.projects.models import Project
from haven_core.rbac.access import Standing, standings, visible_condition, visible_projects
from haven_core.rbac.permissions import Permission

LISTING = Listing(
    filters={
        "project_id": Column("id", Kind.NUMBER),
        "name": Column("name"),
        "public": Column("is_public", Kind.BOOLEAN),
        "owner": Column("owner__username"),
        "owner_id": Column("owner_id", Kind.NUMBER),
        "creation_time": Column("created_at", Kind.MOMENT),
        "update_time": Column("updated_at", Kind.MOMENT),
    },
    sorts={"project_id": "id", "name": "name", "creation_time": "created_at", "update_time": "updated_at"},
    order=("name", "id"),
)

_COLUMNS = ("id", "name", "owner_id", "owner_name", "is_public", "metadata", "created_at", "updated_at")
_FIND = (
    "SELECT p.id, p.name, p.owner_id, a.username, p.is_public, p.metadata, p.created_at, p.updated_at "
    "FROM project p LEFT JOIN account a ON a.id = p.owner_id WHERE p.deleted_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project, and what the caller is and may do in it. roles: of the caller and its groups, as the API numbers them."""

    project_id: int
    name: str
    owner_id: int | None
    owner_name: str
    is_public: bool
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    roles: tuple[int, ...]
    permissions: frozenset[Permission]
    repository_count: int
    allowlist: Allowlist | None

    @property
    def role(self) -> int | None:
        """The strongest of the roles; None, no member."""
        return strongest(self.roles) or None


def list_projects(actor: Actor, query: ListQuery) -> tuple[list[ProjectView], int]:
    """A page of the visible projects and the number of all, narrowed and ordered by the keys of LISTING.

    Five SQL statements at most, whatever the page holds. Raises BadRequest for a value a column can't have.
    """
    found = LISTING.narrow(visible_projects(actor), query)
    return _views(LISTING.page(_columns(found), query), actor), total(found)


def find_project(actor: Actor, name_or_id: str | int) -> ProjectView | None:
    """A visible project by name (text) or id (number). Four SQL statements at most."""
    row = _find(actor, name_or_id)
    return _views([row], actor)[0] if row else None


def find_standing(actor: Actor, name: str) -> tuple[int, Standing] | None:
    """The id of a visible project and what the actor is in it, for who wants to know no more. Two SQL statements at
    most."""
    row = _find(actor, name)
    return (row["id"], standings(actor, {row["id"]: row["is_public"]})[row["id"]]) if row else None


def _find(actor: Actor, name_or_id: str | int) -> dict[str, Any] | None:
    """What _columns() names. Nearly every request asks this, so it is SQL text."""
    condition, values = visible_condition(actor)
    column = "id" if isinstance(name_or_id, int) else "name"
    read = backend.prepared if len(values) < 3 else backend.sql  # more: lists, each length of them a text of its own
    rows = read(f"{_FIND} AND p.{column} = %s AND {condition}", name_or_id, *values)
    if not rows:
        return None
    found = dict(zip(_COLUMNS, rows[0], strict=True))
    return found | {
        "is_public": bool(found["is_public"]),
        "metadata": json.loads(found["metadata"]),
        "created_at": backend.as_datetime(found["created_at"]),
        "updated_at": backend.as_datetime(found["updated_at"]),
    }


def enter_project(actor: Actor, name_or_id: str | int) -> ProjectView | None:
    """Like find_project, without what lies in it (repository_count 0, allowlist None): for whatever is about a thing
    inside. Two SQL statements at most."""
    row = _find(actor, name_or_id)
    return _view(row, standings(actor, {row["id"]: row["is_public"]})[row["id"]]) if row else None


def project_exists(name: str) -> bool:
    """Whether the name is taken, by a project of anybody: it can't be created then, so it is no secret."""
    return Project.objects.filter(name=name, deleted_at=None).exists()


def _columns(found: "QuerySet[Project, Project]") -> "QuerySet[Any, Any]":
    columns: QuerySet[Any, Any] = found.annotate(owner_name=F("owner__username")).values(*_COLUMNS)
    return columns


def _views(rows: Iterable[dict[str, Any]], actor: Actor) -> list[ProjectView]:
    found = list(rows)
    counts = repository_counts([row["id"] for row in found])
    lists = allowlists([row["id"] for row in found])
    standing = standings(actor, {row["id"]: row["is_public"] for row in found})
    return [_view(row, standing[row["id"]], counts.get(row["id"], 0), lists.get(row["id"])) for row in found]


def _view(
    row: dict[str, Any], standing: Standing, repository_count: int = 0, allowlist: Allowlist | None = None
) -> ProjectView:
    return ProjectView(
        project_id=row["id"], name=row["name"], owner_id=row["owner_id"], owner_name=row["owner_name"] or "",
        is_public=row["is_public"], metadata=row["metadata"], created_at=row["created_at"],
        updated_at=row["updated_at"], roles=standing.roles, permissions=standing.permissions,
        repository_count=repository_count, allowlist=allowlist,
    )  # fmt: skip
