"""How much there is."""

from dataclasses import dataclass

from django.db.models import Count, Q

from haven_core.domain.actor import Actor
from haven_core.projects.contents import repository_totals, stored_bytes
from haven_core.projects.models import Project
from haven_core.rbac.access import projects_allowing, visible_projects
from haven_core.rbac.permissions import Action, Permission, Resource

_LIST = Permission(Resource.REPOSITORY, Action.LIST)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Numbers of projects and of their live repositories; the totals are 0 for who does not see everything."""

    private_projects: int
    private_repositories: int
    public_projects: int
    public_repositories: int
    total_projects: int = 0
    total_repositories: int = 0
    stored_bytes: int = 0


def statistics_for(actor: Actor) -> Statistics:
    """Counts of what the actor may see. Three statements at most, one more for who sees
    everything."""
    projects = visible_projects(actor)
    counted = Project.objects.filter(id__in=projects.values("id")).aggregate(
        private=Count("id", filter=Q(is_public=False)), public=Count("id", filter=Q(is_public=True))
    )
    private, public = repository_totals(projects_allowing(actor, _LIST))
    mine = (counted["private"], private, counted["public"], public)
    if not actor.sees_everything:
        return Statistics(*mine)
    return Statistics(*mine, mine[0] + mine[2], private + public, stored_bytes())
