"""Who may do what with robots: the resource `robot` of the matrix, as querysets."""

from django.db.models import Q, QuerySet

from haven_core.domain.actor import Actor
from haven_core.projects.models import Project
from haven_core.rbac.access import projects_permitting
from haven_core.rbac.permissions import Action, Permission, Resource, evaluate
from haven_core.robots.models import Robot


def may_in_system(actor: Actor, action: Action) -> bool:
    """Whether the actor may do `action` with system robots."""
    return evaluate(actor, Resource.ROBOT, action)


def projects_for(actor: Actor, action: Action) -> "QuerySet[Project, Project]":
    """The live projects with whose robots the actor may do `action`."""
    live = Project.objects.filter(deleted_at=None)
    if actor.is_sysadmin:
        return live
    return live.filter(pk__in=projects_permitting(actor, Permission(Resource.ROBOT, action)))


def robots_for(actor: Actor, action: Action) -> "QuerySet[Robot, Robot]":
    """The robots with which the actor may do `action`; those of deleted projects are none."""
    of_projects = Q(project_id__in=projects_for(actor, action).values("pk"))
    return Robot.objects.filter(of_projects | Q(project=None) if may_in_system(actor, action) else of_projects)
