"""Rights in a project, asked on every request of the data plane."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.domain.names import is_project_name
from haven_core.domain.roles import PULL, repository_actions
from haven_core.projects.models import Project, ProjectMember

STALENESS_SECONDS = (
    5.0  # how long a grant may outlive the right it came from, in another process than the one that took it
)
_LIMIT = 20_000

_cache: "TimedCache[tuple[str, int, bool, str], ProjectAccess]" = TimedCache(seconds=STALENESS_SECONDS, limit=_LIMIT)


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
    key = (actor.subject, actor.epoch, actor.is_sysadmin, project_name)
    cached = _cache.get(key)
    if cached is not None and needed <= cached.actions:
        return cached
    access = _read(actor, project_name)
    if access is None:
        _cache.discard(key)
    else:
        _cache.put(key, access)
    return access


def _read(actor: Actor, project_name: str) -> ProjectAccess | None:
    rows = backend.sql(
        "SELECT p.id, p.is_public, m.role FROM project p "
        "LEFT JOIN project_member m ON m.project_id = p.id AND m.user_id = %s "
        "WHERE p.name = %s AND p.deleted_at IS NULL",
        actor.user_id, project_name,
    )  # fmt: skip
    if not rows:
        return None
    project_id, is_public, role = rows[0]
    if actor.is_robot:
        actions = actor.rights.repository_actions(project_id) | ({PULL} if is_public else frozenset())
        return ProjectAccess(project_id, actions, bool(is_public))
    actions = repository_actions(role, is_public=bool(is_public), is_sysadmin=actor.is_sysadmin)
    return ProjectAccess(project_id, actions, bool(is_public))


def may_list_catalog(actor: Actor) -> bool:
    """Whether the actor may list repositories on /v2: every user those it may pull, a robot only with the permission for
    it, and then all (Harbor)."""
    return actor.rights.on_system("catalog", "read") if actor.is_robot else not actor.is_anonymous


def forget_access() -> None:
    """Drop every cached right of this process; called after a local change of a project or a member."""
    _cache.clear()


def visible_projects(actor: Actor) -> "QuerySet[Project, Project]":
    """The projects the actor may know of: all for a system administrator, else the public ones and its own;
    a robot's are those it has any permission in."""
    live = Project.objects.filter(deleted_at=None)
    if actor.is_sysadmin:
        return live
    if actor.is_anonymous:
        return live.filter(is_public=True)
    if actor.is_robot:
        named = Q(is_public=True) | Q(pk__in=list(actor.rights.projects))
        return live if actor.rights.everywhere else live.filter(named)
    membership = ProjectMember.objects.filter(project_id=OuterRef("pk"), user_id=actor.user_id)
    return live.filter(Q(is_public=True) | Exists(membership))
