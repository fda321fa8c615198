"""Reading robots, only ever those the caller may see; never a secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.domain.rights import Permission
from haven_core.errors import Forbidden, NotFound
from haven_core.rbac.permissions import Action
from haven_core.robots.access import robots_for
from haven_core.robots.models import Robot, RobotPermission, RobotSecret
from haven_core.robots.names import login_name
from haven_core.robots.specs import EVERY_PROJECT, PROJECT_LEVEL, SYSTEM_LEVEL

LISTING = Listing(
    filters={
        "name": Column("name"),
        "description": Column("description"),
        "disabled": Column("is_disabled", Kind.BOOLEAN),
        "creation_time": Column("created_at", Kind.MOMENT),
    },
    sorts={
        "id": "id",
        "name": "name",
        "creation_time": "created_at",
        "update_time": "updated_at",
        "expires_at": "expires_at",
    },
    order=("-id",),
)


@dataclass(frozen=True, slots=True)
class GrantedView:
    """Permissions in one place: kind and namespace as Harbor names it, sorted (resource, action) pairs."""

    kind: str
    namespace: str
    access: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class RobotView:
    """A robot. name: what it logs in as. expires_at: None is never."""

    robot_id: int
    name: str
    level: str
    project_id: int | None
    description: str
    duration_days: int
    is_disabled: bool
    creator_type: str
    creator_id: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    permissions: tuple[GrantedView, ...]


@dataclass(frozen=True, slots=True)
class SecretView:
    """A live secret, without what it is."""

    secret_id: int
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str


def list_robots(actor: Actor, action: Action, project_id: int | None, query: ListQuery) -> tuple[list[RobotView], int]:
    """A page of the robots of a project, or (None) of the system's, and the number of all. Three SQL statements, and one
    more for who is no system administrator. Raises BadRequest for a value that a column can't have."""
    place = Q(project=None) if project_id is None else Q(project_id=project_id)
    found = LISTING.narrow(robots_for(actor, action).filter(place), query)
    return _views(LISTING.page(found, query)), total(found)


def find_robot(actor: Actor, robot_id: int, action: Action = Action.READ) -> RobotView:
    """A robot by id, for `action`. Raises NotFound when there is none that the actor may do that with, or see; Forbidden
    when it may see it only. A stranger can't tell a robot that exists from one that does not."""
    views = _views(robots_for(actor, action).filter(pk=robot_id))
    if views:
        return views[0]
    if action != Action.READ and robots_for(actor, Action.READ).filter(pk=robot_id).exists():
        raise Forbidden
    raise NotFound(f"robot {robot_id} not found")


def list_secrets(robot_id: int) -> list[SecretView]:
    """The live secrets of a robot, the newest first. Whether the caller may see the robot is asked before."""
    live = RobotSecret.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()), robot_id=robot_id
    ).order_by("-id")
    return [
        SecretView(*row) for row in live.values_list("id", "created_at", "expires_at", "last_used_at", "last_used_from")
    ]


def _views(rows: "QuerySet[Robot, Robot]") -> list[RobotView]:
    found: Any = list(
        rows.annotate(project_name=F("project__name")).values(
            "id", "name", "project_id", "project_name", "description", "duration_days", "is_disabled", "creator_type",
            "creator_id", "created_at", "updated_at", "expires_at",
        )
    )  # fmt: skip
    granted = _granted([row["id"] for row in found])
    return [
        RobotView(
            robot_id=row["id"], name=login_name(row["name"], row["project_name"] or ""),
            level=PROJECT_LEVEL if row["project_id"] else SYSTEM_LEVEL, project_id=row["project_id"],
            description=row["description"], duration_days=row["duration_days"], is_disabled=row["is_disabled"],
            creator_type=row["creator_type"], creator_id=row["creator_id"], created_at=row["created_at"],
            updated_at=row["updated_at"], expires_at=row["expires_at"],
            permissions=tuple(granted.get(row["id"], ())),
        )
        for row in found
    ]  # fmt: skip


def _granted(robot_ids: list[int]) -> Mapping[int, list[GrantedView]]:
    """Permissions by robot; those in deleted projects are left out (Harbor)."""
    granted: dict[int, list[GrantedView]] = {}
    rows = RobotPermission.objects.filter(robot_id__in=robot_ids, project__deleted_at=None).order_by("id")
    for robot_id, scope, project, access in rows.values_list("robot_id", "scope", "project__name", "access"):
        kind = SYSTEM_LEVEL if scope == "system" else PROJECT_LEVEL
        namespace = {"system": "/", "all": EVERY_PROJECT}.get(scope) or project
        pairs = tuple((resource, action) for resource, action in access)
        granted.setdefault(robot_id, []).append(GrantedView(kind, namespace, pairs))
    return granted
