"""Nobody passes on more than they have: not a robot that makes robots, nor who manages them by a custom role."""

from collections.abc import Collection

from haven_core.domain.actor import Actor
from haven_core.domain.rights import Permission, Rights
from haven_core.errors import Denied
from haven_core.projects.models import Project
from haven_core.rbac.access import standings
from haven_core.rbac.permissions import WITHOUT_ROLE

Place = tuple[str, int | None, Collection[Permission]]  # scope, project and access, as robot_permission has them


def check_within(actor: Actor, places: Collection[Place]) -> None:
    """Whether the actor has all that `places` grant. At most two SQL statements. Raises Denied.

    What no role holds can't be asked of a person; who manages robots may give it (Harbor's project admins do).
    """
    if actor.is_sysadmin:
        return
    asked = _rights(places)
    if actor.is_robot:
        if not actor.rights.cover(asked):
            raise Denied(
                "permission scope is invalid. It must be equal to or more restrictive than the creator robot's"
            )
        return
    if asked.system or asked.everywhere or not _held(actor, asked.projects).cover(asked):
        raise Denied("permission scope is invalid. The robot may more than you may in its project")


def _rights(places: Collection[Place]) -> Rights:
    granted = {project_id or scope: frozenset(access) for scope, project_id, access in places}
    return Rights(
        system=granted.pop("system", frozenset()),
        everywhere=granted.pop("all", frozenset()),
        projects={place: access for place, access in granted.items() if isinstance(place, int)},
    )


def _held(actor: Actor, project_ids: Collection[int]) -> Rights:
    """What a person may in these projects."""
    is_public = dict(Project.objects.filter(pk__in=project_ids).values_list("id", "is_public"))
    own = standings(actor, is_public)
    return Rights(projects={project_id: own[project_id].permissions | WITHOUT_ROLE for project_id in is_public})
