"""The matrix against the numbers and the odd cells of Harbor's."""

import itertools
from dataclasses import dataclass, field

import pytest

from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.roles import Role, strongest
from haven_core.errors import Forbidden, ProjectUnknown, Unauthorized
from haven_core.rbac.permissions import (
    BY_ROLE,
    PROJECT_PERMISSIONS,
    PUBLIC,
    SYSTEM_PERMISSIONS,
    Action,
    Permission,
    Resource,
    evaluate,
    permissions_of,
    require,
    require_system,
)

ANN = Actor("user", 2, "ann", is_sysadmin=False)
ROOT = Actor("user", 1, "root", is_sysadmin=True)


@dataclass
class Project:
    permissions: frozenset[Permission] = field(default_factory=frozenset)


def test_as_many_rules_as_harbor_has() -> None:
    """Counted in rbac_role.go and rbac_util.go."""
    assert {role.name: len(rules) for role, rules in BY_ROLE.items()} == {
        "PROJECT_ADMIN": 75, "MAINTAINER": 53, "DEVELOPER": 36, "GUEST": 20, "LIMITED_GUEST": 14,
    }  # fmt: skip
    assert len(PUBLIC) == 12


@pytest.mark.parametrize(
    ("resource", "action", "roles"),
    [
        (Resource.REPOSITORY, Action.DELETE, {Role.PROJECT_ADMIN, Role.MAINTAINER}),
        (Resource.TAG_RETENTION, Action.OPERATE, {Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER}),
        (Resource.MEMBER, Action.LIST, set(Role) - {Role.LIMITED_GUEST}),
        (Resource.MEMBER, Action.CREATE, {Role.PROJECT_ADMIN}),
        (Resource.QUOTA, Action.READ, set(Role)),
        (Resource.METADATA, Action.LIST, set()),
    ],
)
def test_odd_cells(resource: Resource, action: Action, roles: set[Role]) -> None:
    assert {role for role in Role if (resource, action) in BY_ROLE[role]} == roles


def test_anybody_in_a_public_project_lists_repositories_and_reads_none() -> None:
    assert (Resource.REPOSITORY, Action.LIST) in PUBLIC
    assert (Resource.REPOSITORY, Action.READ) not in PUBLIC


def test_weaker_roles_may_no_more_than_stronger_ones() -> None:
    order = [Role.LIMITED_GUEST, Role.GUEST, Role.DEVELOPER, Role.MAINTAINER, Role.PROJECT_ADMIN]
    for weaker, stronger in itertools.pairwise(order):
        assert BY_ROLE[weaker] < BY_ROLE[stronger]


def test_evaluate() -> None:
    guest = Project(BY_ROLE[Role.GUEST])
    assert evaluate(ANN, Resource.REPOSITORY, Action.PULL, guest)
    assert not evaluate(ANN, Resource.REPOSITORY, Action.PUSH, guest)
    assert not evaluate(ANN, Resource.USER, Action.LIST)
    assert evaluate(ROOT, Resource.METADATA, Action.LIST, Project())
    assert evaluate(ROOT, Resource.USER, Action.LIST)


def test_missing_and_forbidden_are_answered_alike() -> None:
    for project in (None, Project()):
        with pytest.raises(Unauthorized):
            require(ANONYMOUS, project, Resource.PROJECT, Action.READ)
        with pytest.raises(Forbidden):
            require(ANN, project, Resource.PROJECT, Action.READ)
    with pytest.raises(ProjectUnknown):
        require(ROOT, None, Resource.PROJECT, Action.READ)
    with pytest.raises(Unauthorized):
        require_system(ANONYMOUS, Resource.USER, Action.LIST)
    with pytest.raises(Forbidden):
        require_system(ANN, Resource.USER, Action.LIST)


def test_permissions_of() -> None:
    assert permissions_of(ANN) == []
    assert set(permissions_of(ROOT)) == SYSTEM_PERMISSIONS
    assert set(permissions_of(ROOT, Project())) == PROJECT_PERMISSIONS
    assert permissions_of(ANN, Project(PUBLIC)) == sorted(PUBLIC)


def test_the_strongest_role() -> None:
    assert strongest([Role.GUEST, Role.MAINTAINER, Role.DEVELOPER, 1001]) == Role.MAINTAINER
    assert strongest([1002, 1001]) == 1001
    assert strongest([]) == 0
