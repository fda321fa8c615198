"""Reading the members of a project, for who may."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce

from haven_core.db.lists import Column, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_core.domain.roles import CUSTOM_ROLE_BASE, NAMES, Role
from haven_core.projects.models import ProjectMember
from haven_core.projects.selectors import ProjectView
from haven_core.rbac.permissions import Action, Permission, Resource

LISTING = Listing(filters={"entityname": Column("entity_name")}, sorts={}, order=("entity_name", "id"))


@dataclass(frozen=True, slots=True)
class Member:
    """A membership. entity: a person, or with is_group a group; role_id as the API numbers it."""

    member_id: int
    project_id: int
    entity_id: int
    entity_name: str
    is_group: bool
    role_id: int
    role_name: str


def list_members(project: ProjectView, query: ListQuery) -> tuple[list[Member], int]:
    """A page of the members, by name, and the number of all, narrowed by the keys of LISTING; nobody for who may not list
    them. Two SQL statements."""
    may_list = Permission(Resource.MEMBER, Action.LIST) in project.permissions
    members = _members(project.project_id)
    found = LISTING.narrow(members if may_list else members.none(), query)
    return list(_read(LISTING.page(found, query))), total(found)


def find_member(project_id: int, member_id: int) -> Member | None:
    """One membership of this project. The caller has been let in (rbac.permissions.require)."""
    return next(_read(_members(project_id).filter(pk=member_id)), None)


def member_counts(project_id: int) -> dict[int, int]:
    """Members by role id, for a project's summary; people and groups. The caller may list them. One SQL statement."""
    rows = (
        ProjectMember.objects.filter(project_id=project_id)
        .values("role", "custom_role_id")
        .annotate(number=Count("id"))
    )
    return {_role_id(row["role"], row["custom_role_id"]): row["number"] for row in rows}


def administrators(project_id: int, *, limit: int) -> list[str]:
    """Names of the first `limit` people and groups that administer the project. One SQL statement."""
    found = _members(project_id).filter(role=Role.PROJECT_ADMIN).order_by("entity_name")
    return list(found.values_list("entity_name", flat=True)[:limit])


def _members(project_id: int) -> "QuerySet[Any, Any]":
    return ProjectMember.objects.filter(project_id=project_id).annotate(
        entity_name=Coalesce(F("user__username"), F("group__name")), custom_name=F("custom_role__name")
    )


def _read(found: "QuerySet[Any, Any]") -> Iterator[Member]:
    for row in found.values(
        "id", "project_id", "user_id", "group_id", "entity_name", "role", "custom_role_id", "custom_name"
    ):
        yield Member(
            member_id=row["id"],
            project_id=row["project_id"],
            entity_id=row["user_id"] or row["group_id"],
            entity_name=row["entity_name"],
            is_group=row["group_id"] is not None,
            role_id=_role_id(row["role"], row["custom_role_id"]),
            role_name=row["custom_name"] if row["role"] is None else NAMES[Role(row["role"])],
        )


def _role_id(role: int | None, custom_role_id: int) -> int:
    return CUSTOM_ROLE_BASE + custom_role_id if role is None else role
