"""What a token may grant."""

from collections.abc import Iterable

from haven_core.domain.actor import Actor
from haven_core.domain.names import split_repository
from haven_core.domain.roles import DELETE, PULL, PUSH
from haven_core.rbac.access import ProjectAccess, may_list_catalog, project_access
from haven_core.tokens.grants import CATALOG
from haven_core.tokens.scopes import Scope

_ALL = frozenset({PULL, PUSH, DELETE})


def grant(actor: Actor, requested: Iterable[Scope]) -> list[Scope]:
    """Of what is asked, what the actor may. A repository scope always has its entry, at worst without actions.

    Push implies pull, `*` asks for everything (skopeo deletes so). Types we don't know, and the catalog for nobody, vanish:
    who is somebody may list what they may pull, and a robot needs a permission.

    Never an error, and the same answer for a missing and a hidden project.
    One SQL statement at most for each project named.
    """
    wanted = [_expand(scope) for scope in requested]
    needs: dict[str, frozenset[str]] = {}
    for scope in wanted:
        if project := _project_of(scope):
            needs[project] = needs.get(project, frozenset()) | scope.actions
    access = {project: project_access(actor, project, needed) for project, needed in needs.items()}
    granted = []
    for scope in wanted:
        if scope.type == "repository":
            rights = access.get(_project_of(scope) or "")
            granted.append(Scope(scope.type, scope.name, scope.actions & _actions(rights)))
        elif (scope.type, scope.name) == (CATALOG.type, CATALOG.name) and may_list_catalog(actor):
            granted.append(Scope(scope.type, scope.name, scope.actions & CATALOG.actions))
    return granted


def _expand(scope: Scope) -> Scope:
    if scope.type != "repository":
        return scope
    actions = _ALL if "*" in scope.actions else scope.actions & _ALL
    return Scope(scope.type, scope.name, actions | {PULL} if PUSH in actions else actions)


def _project_of(scope: Scope) -> str | None:
    """The project of a repository scope; None when its name is none: a prefix, a path, an upper-case letter."""
    parts = split_repository(scope.name) if scope.type == "repository" else None
    return parts[0] if parts else None


def _actions(rights: ProjectAccess | None) -> frozenset[str]:
    return rights.actions if rights else frozenset()
