"""Whoever asks a selector without having been let in gets nothing: a view that forgets its check shows nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from haven_core.accounts import selectors as accounts
from haven_core.audit.selectors import list_entries
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.conditions import ListQuery
from haven_core.domain.roles import Role
from haven_core.groups import selectors as groups
from haven_core.groups.services import Kind, create_group, set_people
from haven_core.labels.models import Label
from haven_core.labels.selectors import list_labels
from haven_core.members.selectors import list_members
from haven_core.models import AuditLog
from haven_core.projects.selectors import enter_project, find_project, list_projects
from haven_core.quotas.selectors import find_quota, list_quotas
from haven_core.rbac.permissions import Action
from haven_core.robots.selectors import list_robots
from haven_core.robots.services import create_robot
from haven_core.robots.specs import FOREVER, PermissionSpec, RobotSpec

PAGE = ListQuery((), limit=10)


@pytest.fixture
def filled(private: int, owner: Actor, admin: Actor) -> int:
    """A private project with one of everything; a group with the owner in it."""
    now = timezone.now()
    Label.objects.create(name="ready", project_id=private, created_at=now, updated_at=now)
    place = PermissionSpec("project", "private", frozenset({("repository", "pull")}))
    create_robot(owner, RobotSpec("ci", "project", FOREVER, (place,)))
    AuditLog.objects.create(event_id=1, op_time=now, project_id=private, is_success=True)
    group = create_group(name="team", kind=Kind.OIDC, created_by=admin)
    set_people(group_id=group, user_ids=[owner.user_id], set_by=admin)
    return group


def found(actor: Actor, project: int, owner: Actor, group: int) -> dict[str, Any]:
    """How much each selector shows."""
    entered = enter_project(actor, project)
    return {
        "projects": len(list_projects(actor, PAGE)[0]),
        "project": find_project(actor, "private") is not None,
        "members": len(list_members(entered, PAGE)[0]) if entered else 0,
        "labels": len(list_labels(actor, project, PAGE)[0]),
        "robots": len(list_robots(actor, Action.LIST, project, PAGE)[0]),
        "log": len(list_entries(actor, PAGE)[0]),
        "log of the project": len(list_entries(actor, PAGE, project_id=project)[0]),
        "quotas": len(list_quotas(actor, PAGE)[0]),
        "quota": find_quota(actor, project) is not None,
        "accounts": len(accounts.list_accounts(actor, PAGE)[0]),
        "account": accounts.find_account(actor, owner.user_id) is not None,
        "groups": len(groups.list_groups(actor, PAGE)[0]),
        "group": groups.find_group(actor, group) is not None,
        "people of a group": len(groups.people_of(actor, group)),
    }


def test_nobody_and_strangers_get_nothing(
    filled: int, private: int, owner: Actor, make_user: Callable[..., Actor]
) -> None:
    for actor in (ANONYMOUS, make_user("stranger"), Actor("robot", 0, "robot$x", is_sysadmin=False, robot_id=7)):
        assert not any(found(actor, private, owner, filled).values()), actor.name
    assert accounts.search_names(ANONYMOUS, PAGE) == ([], 0)
    assert groups.search_groups(ANONYMOUS, PAGE) == ([], 0)


def test_others_get_what_their_role_shows(
    filled: int, private: int, owner: Actor, admin: Actor, member: Callable[[int, Role], Actor]
) -> None:
    assert all(found(admin, private, owner, filled).values())
    own = found(owner, private, owner, filled)
    assert {name for name, shown in own.items() if not shown} == {
        "quotas", "quota", "accounts", "groups", "group", "people of a group",
    }  # fmt: skip
    limited = found(member(private, Role.LIMITED_GUEST), private, owner, filled)
    assert {name for name, shown in limited.items() if shown} == {"projects", "project"}
