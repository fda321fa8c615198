"""Who may create a project, and how much it may then hold."""

from haven_core.configuration import selectors as configuration
from haven_core.domain.actor import Actor
from haven_core.quotas.services import default_limit, parse_limit
from haven_core.rbac.permissions import Action, Resource, evaluate


def may_create_project(actor: Actor) -> bool:
    """Whoever has the system's permission, and users unless the configuration keeps it to administrators."""
    if actor.is_anonymous:
        return False
    if evaluate(actor, Resource.PROJECT, Action.CREATE):
        return True
    if actor.is_robot or actor.is_read_only or actor.limit.projects is not None:
        return False
    return bool(configuration.value("project_creation_restriction") != "adminonly")


def limit_of_new_project(actor: Actor, storage_limit: int | None) -> int | None:
    """hard_bytes of a new project: what a system administrator says, else the default, also for nothing and 0. Raises
    BadRequest."""
    if not actor.is_sysadmin or not storage_limit:
        return default_limit()
    return parse_limit(storage_limit)
