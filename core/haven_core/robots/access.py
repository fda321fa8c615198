"""Who may do what with robots: the permission `robot` of the system and of projects (harbor.md 1.2: rbac_role.go)."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.projects.models import Project, ProjectMember
from haven_core.robots.models import Robot

CREATE, READ, UPDATE, DELETE, LIST = "create", "read", "update", "delete", "list"
_ROBOT = "robot"
_ADMIN = (Role.PROJECT_ADMIN,)
_SEES = (Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER, Role.GUEST)
_ROLES = {CREATE: _ADMIN, UPDATE: _ADMIN, DELETE: _ADMIN, READ: _SEES, LIST: _SEES}


def may_in_system(actor: Actor, action: str) -> bool:
    """Whether the actor may do `action` with system robots."""
    return actor.is_sysadmin or actor.rights.on_system(_ROBOT, action)


def projects_for(actor: Actor, action: str) -> "QuerySet[Project, Project]":
    """The live projects with whose robots the actor may do `action`."""
    live = Project.objects.filter(deleted_at=None)
    if actor.is_sysadmin or (_ROBOT, action) in actor.rights.everywhere:
        return live
    if actor.is_robot:
        return live.filter(pk__in=actor.rights.projects_with(_ROBOT, action))
    membership = ProjectMember.objects.filter(
        project_id=OuterRef("pk"), user_id=actor.user_id, role__in=[int(role) for role in _ROLES[action]]
    )
    return live.filter(Exists(membership))


def robots_for(actor: Actor, action: str) -> "QuerySet[Robot, Robot]":
    """The robots with which the actor may do `action`; those of deleted projects are none."""
    of_projects = Q(project_id__in=projects_for(actor, action).values("pk"))
    return Robot.objects.filter(of_projects | Q(project=None) if may_in_system(actor, action) else of_projects)
