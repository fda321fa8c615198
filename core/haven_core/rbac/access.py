"""Rights in projects: one project's for each request of the data plane, many projects' for a list."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.domain.names import is_project_name
from haven_core.domain.roles import ACTIONS, CUSTOM_ROLE_BASE, Role
from haven_core.errors import ProjectUnknown
from haven_core.groups.models import GroupMembership
from haven_core.projects.models import Project, ProjectMember
from haven_core.rbac.models import CustomRole
from haven_core.rbac.permissions import BY_ROLE, PROJECT_PERMISSIONS, PUBLIC, Action, Permission, Resource

STALENESS_SECONDS = (
    5.0  # how long a grant may outlive the right it came from, in another process than the one that took it
)
_LIMIT = 20_000

_IS_MEMBER = "(m.user_id = %s OR m.group_id IN (SELECT g.group_id FROM user_group_member g WHERE g.user_id = %s))"

_cache: "TimedCache[tuple[str, int, bool, bool, int, str], ProjectAccess]" = TimedCache(
    seconds=STALENESS_SECONDS, limit=_LIMIT
)


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """What an actor may do with the repositories of an existing project: a subset of pull, push and delete."""

    project_id: int
    actions: frozenset[str]
    is_public: bool


def project_access(actor: Actor, project_name: str, needed: frozenset[str] = frozenset()) -> ProjectAccess | None:
    """The actor's rights in a project; None when there is no such project. One SQL statement, or none.

    Pass what the request needs as `needed`. A grant that covers it may be STALENESS_SECONDS old. Anything less is asked
    from the database at once, so a new project, member or role works immediately in every process, and only a *loss* of
    rights can be late. Missing and forbidden look alike to clients: callers answer both with the same challenge.
    """
    if not is_project_name(project_name):
        return None
    key = (actor.subject, actor.epoch, actor.is_sysadmin, actor.is_auditor, actor.token_id, project_name)
    cached = _cache.get(key)
    if cached is not None and needed <= cached.actions:
        return cached
    access = _read(actor, project_name)
    if access is None:
        _cache.discard(key)
    else:
        _cache.put(key, access)
    return access


def renew_access(actor: Actor, project_name: str, stale: ProjectAccess, action: str) -> ProjectAccess:
    """What is so now, for a right that was remembered in a project that has been deleted since: another may have its name.
    Raises ProjectUnknown when none has, or the actor may not do the action there."""
    forget_access()
    access = project_access(actor, project_name)
    if access is None or access.project_id == stale.project_id or action not in access.actions:
        raise ProjectUnknown
    return access


def _read(actor: Actor, project_name: str) -> ProjectAccess | None:
    # One row for each group of the actor that is a member, each with the actor's own membership beside it.
    rows = backend.sql(
        "SELECT p.id, p.is_public, m.role, c.permissions, gm.role, gc.permissions FROM project p "
        "LEFT JOIN project_member m ON m.project_id = p.id AND m.user_id = %s "
        "LEFT JOIN custom_role c ON c.id = m.custom_role_id "
        "LEFT JOIN (user_group_member g JOIN project_member gm ON gm.group_id = g.group_id AND g.user_id = %s "
        "LEFT JOIN custom_role gc ON gc.id = gm.custom_role_id) ON gm.project_id = p.id "
        "WHERE p.name = %s AND p.deleted_at IS NULL",
        actor.user_id, actor.user_id, project_name,
    )  # fmt: skip
    if not rows:
        return None
    project_id, is_public = rows[0][:2]
    held = [_held(role, custom) for row in rows for role, custom in (row[2:4], row[4:6])]
    permissions = _union(actor, project_id, held, is_public=bool(is_public))
    actions = frozenset(action for action in ACTIONS if Permission(Resource.REPOSITORY, Action(action)) in permissions)
    return ProjectAccess(project_id, actions, bool(is_public))


@dataclass(frozen=True, slots=True)
class Standing:
    """What an actor is in a project. roles: as the API numbers them, custom ones included; permissions: of all roles and
    of the project being public."""

    roles: tuple[int, ...]
    permissions: frozenset[Permission]


def standings(actor: Actor, projects: Mapping[int, bool]) -> dict[int, Standing]:
    """The actor's standing in each of `projects` (id: is it public). One SQL statement, or none: nobody and no robot is a
    member anywhere, and a system administrator may everything everywhere."""
    held: dict[int, dict[int, frozenset[Permission]]] = {project_id: {} for project_id in projects}
    if not (actor.is_anonymous or actor.is_robot or actor.is_sysadmin) and projects:
        read = backend.prepared if len(projects) == 1 else backend.sql
        mine = read(
            "SELECT m.project_id, m.role, m.custom_role_id, c.permissions FROM project_member m "
            "LEFT JOIN custom_role c ON c.id = m.custom_role_id "
            f"WHERE m.project_id IN ({backend.placeholders(projects)}) AND {_IS_MEMBER}",
            *projects, actor.user_id, actor.user_id,
        )  # fmt: skip
        for project_id, role, custom_id, custom in mine:
            number = role if custom_id is None else CUSTOM_ROLE_BASE + custom_id
            held[project_id][number] = _held(role, custom)
    return {
        project_id: Standing(
            tuple(sorted(held[project_id])),
            _union(actor, project_id, held[project_id].values(), is_public=is_public),
        )
        for project_id, is_public in projects.items()
    }


def parse_permissions(texts: Collection[str]) -> frozenset[Permission]:
    """The permissions among "resource:action" texts; what is none inside a project is left out."""
    known = {f"{resource}:{action}": Permission(resource, action) for resource, action in PROJECT_PERMISSIONS}
    return frozenset(known[text] for text in texts if text in known)


def _granted(actor: Actor, project_id: int) -> frozenset[Permission]:
    """What the actor may do in a project by its rights, without a membership."""
    granted = actor.rights.everywhere | actor.rights.projects.get(project_id, frozenset())
    return frozenset(Permission(Resource(resource), Action(action)) for resource, action in granted)


def _held(role: int | None, custom: "str | list[str] | None") -> frozenset[Permission]:
    """What one membership gives; `custom` as the database returns it, by sql() a text."""
    if role is not None:
        return BY_ROLE[Role(role)]
    if custom is None:
        return frozenset()
    return _parse_stored(custom if isinstance(custom, str) else json.dumps(custom))


@lru_cache(maxsize=256)
def _parse_stored(text: str) -> frozenset[Permission]:
    return parse_permissions(json.loads(text))


def _union(
    actor: Actor, project_id: int, held: Iterable[frozenset[Permission]], *, is_public: bool
) -> frozenset[Permission]:
    """All the actor may in a project, where its memberships hold `held`."""
    if actor.is_sysadmin:
        return PROJECT_PERMISSIONS
    by_roles = actor.limit.cut(project_id, frozenset().union(*held))
    return by_roles | _granted(actor, project_id) | (PUBLIC if is_public else frozenset())


def _is_member(actor: Actor) -> Q:
    groups = GroupMembership.objects.filter(user_id=actor.user_id).values("group_id")
    return Q(user_id=actor.user_id) | Q(group_id__in=groups)


def _memberships(actor: Actor) -> "QuerySet[ProjectMember, ProjectMember]":
    """A user's memberships where its limit leaves something of them."""
    mine = ProjectMember.objects.filter(_is_member(actor))
    return mine if actor.limit.projects is None else mine.filter(project_id__in=list(actor.limit.projects))


def may_list_catalog(actor: Actor) -> bool:
    """Whether the actor may list repositories on /v2: every user those it may pull, a robot only with the permission for
    it, and then all (Harbor)."""
    return actor.rights.on_system("catalog", "read") if actor.is_robot else not actor.is_anonymous


def forget_access() -> None:
    """Drop every cached right of this process; called after a local change of a project or a member."""
    _cache.clear()


def visible_projects(actor: Actor) -> "QuerySet[Project, Project]":
    """The projects the actor may know of: all for a system administrator and an auditor, else the public ones and those
    it has any permission in, by a membership or by its rights."""
    live = Project.objects.filter(deleted_at=None)
    if actor.is_sysadmin or actor.rights.everywhere:
        return live
    known = Q(is_public=True)
    if actor.rights.projects:
        known |= Q(pk__in=list(actor.rights.projects))
    if actor.user_id:
        known |= Q(Exists(_memberships(actor).filter(project_id=OuterRef("pk"))))
    return live.filter(known)


def projects_permitting(actor: Actor, permission: Permission) -> "QuerySet[Any, Any]":
    """Ids of the projects where the actor's rights or a membership, its own or of a group, give `permission`, as a
    subquery. What only the public or a system administrator may is left out. One SQL statement, or none."""
    live = Project.objects.filter(deleted_at=None)
    if permission in actor.rights.everywhere:
        return live.values("pk")
    named = Q(pk__in=actor.rights.projects_with(*permission))
    if not (actor.user_id and actor.limit.allows(permission)):
        return live.filter(named).values("pk")
    text = f"{permission.resource}:{permission.action}"
    roles = [role for role, held in BY_ROLE.items() if permission in held]
    custom = [role_id for role_id, held in CustomRole.objects.values_list("id", "permissions") if text in held]
    mine = _memberships(actor).filter(Q(role__in=roles) | Q(custom_role_id__in=custom))
    by_role = Q(pk__in=mine.values("project_id"))
    return live.filter(by_role | named if actor.rights.projects else by_role).values("pk")


def projects_allowing(actor: Actor, permission: Permission) -> "QuerySet[Project, Project]":
    """The projects in which the actor may do what `permission` says, by whatever gives it: what a list of several
    projects' things is narrowed by. Who sees a project may still not list all that is in it."""
    live = Project.objects.filter(deleted_at=None)
    if actor.is_sysadmin:
        return live
    if actor.is_anonymous:
        return live.filter(is_public=True) if permission in PUBLIC else live.none()
    allowed = Q(pk__in=projects_permitting(actor, permission))
    return live.filter(allowed | Q(is_public=True) if permission in PUBLIC else allowed)


def visible_condition(actor: Actor) -> tuple[str, list[int]]:
    """What visible_projects() asks, as SQL on the live rows of `project p`, and its parameters."""
    if actor.is_sysadmin or actor.rights.everywhere:
        return "1 = 1", []
    conditions, parameters = ["p.is_public"], list[int]()
    if actor.rights.projects:
        conditions.append(f"p.id IN ({backend.placeholders(actor.rights.projects)})")
        parameters += actor.rights.projects
    if actor.user_id:
        mine = f"SELECT 1 FROM project_member m WHERE m.project_id = p.id AND {_IS_MEMBER}"
        parameters += [actor.user_id, actor.user_id]
        if actor.limit.projects is not None:
            mine += (
                f" AND p.id IN ({backend.placeholders(actor.limit.projects)})" if actor.limit.projects else " AND 1 = 0"
            )
            parameters += actor.limit.projects
        conditions.append(f"EXISTS ({mine})")
    return f"({' OR '.join(conditions)})", parameters
