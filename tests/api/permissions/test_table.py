"""Each operation by each caller, in a world of its own. A refusal changes no row of any table."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.domain.actor import Actor
from haven_core.domain.roles import CUSTOM_ROLE_BASE, NAMES
from haven_core.groups.services import Kind, create_group, set_people
from haven_core.labels.models import Label
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac.roles import create_role
from haven_core.robots.actors import forget_robots
from haven_core.robots.models import Robot
from haven_core.robots.permissions import PROJECT, SYSTEM
from haven_core.robots.services import create_robot
from haven_core.robots.specs import EVERY_PROJECT, FOREVER, PermissionSpec, RobotSpec
from haven_registry.services.repositories import get_or_create_repository
from tests.api.conftest import PASSWORD
from tests.api.permissions.content import push_content
from tests.api.permissions.table import CALLERS, Row, rows

pytestmark = pytest.mark.django_db

REFUSALS = (401, 403, 404, 412)


ROBOTS = ("projectRobot", "systemRobot", "expiredRobot")


class World(NamedTuple):
    """names: what the paths of the tables name. logins: a caller's user name and password."""

    names: dict[str, int]
    logins: dict[str, tuple[str, str]]


@pytest.fixture
def world(db: None, request: pytest.FixtureRequest) -> World:
    """A private project with a repository, a member of each role and a spare one, a label, an account, a group, a role in
    use and one that isn't, an idle robot. The callers are accounts of their columns' names; the robots have all that can
    be given to a robot of the project, or of the system and of every project."""
    forget_robots()
    callers = [caller for caller in CALLERS[1:] if caller not in ROBOTS]
    people = {
        name: create_user(username=name, password=PASSWORD, is_sysadmin=name == "sysadmin")
        for name in (*callers, "owner", "spare", "newcomer")
    }
    project = create_project(name="private", owner_id=people["owner"])
    root = Actor("user", people["sysadmin"], "sysadmin", is_sysadmin=True)
    few = ("project:read", "member:list", "member:read")
    role = create_role(name="custom", description="", permissions=few, created_by=root)
    unused = create_role(name="unused", description="", permissions=(), created_by=root)
    now = timezone.now()
    held = {name: {"role": int(number)} for number, name in NAMES.items()}
    held |= {"custom": {"custom_role_id": role - CUSTOM_ROLE_BASE}, "spare": {"role": 3}}
    for name, given in held.items():
        ProjectMember.objects.create(project_id=project, user_id=people[name], created_at=now, **given)
    spare = ProjectMember.objects.get(project_id=project, user_id=people["spare"])
    group = create_group(name="team", kind=Kind.OIDC, created_by=root)
    set_people(group_id=group, user_ids=[people["newcomer"]], set_by=root)
    get_or_create_repository(project, "app")
    label = Label.objects.create(name="ready", project_id=project, created_at=now, updated_at=now).pk
    shared_label = Label.objects.create(name="shared", created_at=now, updated_at=now).pk
    ids, robots = _robots(root)
    if "/app" in request.node.callspec.params["row"].path or "/trash" in request.node.callspec.params["row"].path:
        ids |= push_content(project, label)
    names = people | ids | {
        "project": project, "member": spare.pk, "group": group, "role": role, "unused_role": unused, "label": label,
        "shared_label": shared_label,
    }  # fmt: skip
    return World(names, {name: (name, PASSWORD) for name in people} | robots)


def _robots(root: Actor) -> tuple[dict[str, int], dict[str, tuple[str, str]]]:
    of_project = (PermissionSpec("project", "private", frozenset(PROJECT)),)
    of_system = (
        PermissionSpec("system", "/", frozenset(SYSTEM)),
        PermissionSpec("project", EVERY_PROJECT, frozenset(PROJECT)),
    )
    made = {
        "projectRobot": create_robot(root, RobotSpec("all", "project", FOREVER, of_project)),
        "systemRobot": create_robot(root, RobotSpec("every", "system", FOREVER, of_system)),
        "expiredRobot": create_robot(root, RobotSpec("old", "project", 1, of_project)),
        "idle": create_robot(root, RobotSpec("idle", "project", FOREVER, of_project)),
    }
    expired = Robot.objects.filter(pk=made["expiredRobot"].robot_id)
    expired.update(expires_at=timezone.now() - timedelta(days=1))
    logins = {name: (robot.name, robot.secret) for name, robot in made.items()}
    return {"robot": made["idle"].robot_id}, logins


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but those that are there to remember refusals: the outbox, of which the audit log is made,
    and failed log-ins."""
    tables = (table for table in apps.get_models() if table._meta.db_table not in ("outbox_event", "failed_logins"))
    return {table._meta.db_table: list(table._default_manager.order_by("pk").values_list()) for table in tables}


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: f"{row.operation}-{row.method}")
def test_row(row: Row, world: World, api: Callable[..., HttpResponse]) -> None:
    """Each caller finds the world as it was made: what one was let in to do is undone before the next."""
    body = row.body
    for name in ("project", "label"):
        body = body.replace(f"{{{name}}}", str(world.names[name]))
    before = everything()
    wrong = {}
    for caller, status in row.statuses.items():
        user, password = world.logins.get(caller, ("", ""))
        path = row.path.format(me=world.names.get(caller, world.names["newcomer"]), **world.names)
        undo = transaction.savepoint()
        response = api(row.method, path, body or None, user=user, password=password)
        changes_nothing = status in REFUSALS or row.method in ("GET", "HEAD")
        if response.status_code != status or (everything() == before) is not changes_nothing:
            wrong[caller] = (response.status_code, response.content[:200], "changed" if not changes_nothing else "same")
        transaction.savepoint_rollback(undo)
        forget_robots()
    assert not wrong
