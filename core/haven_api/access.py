"""Rights of members in the REST API."""

from collections.abc import Collection

from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.errors import Forbidden, Unauthorized
from haven_core.projects.selectors import ProjectView

KEEPERS = frozenset({Role.PROJECT_ADMIN, Role.MAINTAINER})
BUILDERS = KEEPERS | {Role.DEVELOPER}


def require_role(actor: Actor, project: ProjectView, roles: Collection[Role]) -> None:
    """Raises Unauthorized for nobody, Forbidden without one of the roles. A system administrator may do everything."""
    if actor.is_anonymous:
        raise Unauthorized
    if not actor.is_sysadmin and project.role not in roles:
        raise Forbidden
