"""Each operation by each caller, in a world of its own. A refusal changes no row of any table."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from haven_core.accounts.services import create_user, set_auditor
from haven_core.domain.actor import Actor
from haven_core.domain.roles import CUSTOM_ROLE_BASE, NAMES
from haven_core.domain.selectors import Selector
from haven_core.groups.services import Kind, create_group, set_people
from haven_core.jobs.models import Execution, Task
from haven_core.labels.models import Label
from haven_core.personal_tokens.services import create_token
from haven_core.policies.immutability import create_rule
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac.roles import create_role
from haven_core.retention.models import RetentionTask
from haven_core.retention.policies import create_policy
from haven_core.robots.actors import forget_robots
from haven_core.robots.models import Robot
from haven_core.robots.permissions import PROJECT, SYSTEM
from haven_core.robots.services import add_secret, create_robot
from haven_core.robots.specs import EVERY_PROJECT, FOREVER, PermissionSpec, RobotSpec
from haven_gc.retention.executions import start_retention
from tests.api.conftest import PASSWORD
from tests.api.permissions.content import push_content
from tests.api.permissions.table import CALLERS, Row, rows
from tests.support.site import seen_repository

pytestmark = pytest.mark.django_db

REFUSALS = (401, 403, 404, 412)
QUESTIONS = ("/haven/retentions/preview",)  # too long for a GET


ROBOTS = ("projectRobot", "systemRobot", "expiredRobot")


class World(NamedTuple):
    """names: what the paths of the tables name. logins: a caller's user name and password."""

    names: dict[str, int]
    logins: dict[str, tuple[str, str]]


@pytest.fixture
def world(db: None, request: pytest.FixtureRequest) -> World:
    """Two private projects, `private` with a repository, a label, policies and robots, each with a member of every role; a
    spare member, an auditor, an account, a group, a role in use and one that isn't, jobs that wait. The callers are
    accounts of their columns' names, each with a personal token; the robots have all that can be given to a robot of the
    project, or of the system and of every project."""
    forget_robots()
    callers = [caller for caller in CALLERS[1:] if caller not in ROBOTS]
    people = {
        name: create_user(username=name, password=PASSWORD, is_sysadmin=name == "sysadmin")
        for name in (*callers, "owner", "spare", "newcomer")
    }
    set_auditor(user_id=people["auditor"], is_auditor=True, set_by="sysadmin")
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
    seen_repository(project, "app")
    label = Label.objects.create(name="ready", project_id=project, created_at=now, updated_at=now).pk
    shared_label = Label.objects.create(name="shared", created_at=now, updated_at=now).pk
    ids, robots = _robots(root)
    row = getattr(request.node, "callspec", None) and request.node.callspec.params.get("row")
    if row is None or "/app" in row.path or "/trash" in row.path:  # pushing takes its time
        ids |= push_content(project, label)
    bare = create_project(name="bare", owner_id=people["owner"])
    for name, given in held.items():
        ProjectMember.objects.create(project_id=bare, user_id=people[name], created_at=now, **given)
    names = people | ids | _policies(project) | _jobs(now) | {
        "bare": bare,
        "project": project, "member": spare.pk, "group": group, "role": role, "unused_role": unused, "label": label,
        "shared_label": shared_label,
    }  # fmt: skip
    for name in callers:
        owner = Actor("user", people[name], name, is_sysadmin=False)
        names[f"token of {name}"] = create_token(owner, name="n", scope="full").token_id
    newcomer = Actor("user", people["newcomer"], "newcomer", is_sysadmin=False)
    names["newcomer_token"] = create_token(newcomer, name="n", scope="full").token_id
    return World(names, {name: (name, PASSWORD) for name in people} | robots)


def _policies(project: int) -> dict[str, int]:
    """An immutability rule; a retention policy with a run that has not begun."""
    everything, releases = Selector("doublestar", "repoMatches", "**"), Selector("doublestar", "matches", "release*")
    rule = create_rule(project_id=project, repository=everything, tag=releases)
    kept = {
        "template": "latestPushedK", "action": "retain", "params": {"latestPushedK": 3},
        "tag_selectors": [Selector("doublestar", "matches", "v*")], "scope_selectors": {"repository": [everything]},
    }  # fmt: skip
    policy = create_policy(project_id=project, rules=[kept])
    run = start_retention(policy, dry_run=True)
    task = RetentionTask.objects.get(execution_id=run).pk
    return {"rule": rule, "policy": policy, "run": run, "run_task": task}


def _jobs(now: datetime) -> dict[str, int]:
    """A collection and a purge of the audit log, neither begun, and a purge that was stopped."""
    made = {}
    for name, kind, status in (
        ("gc", "GARBAGE_COLLECTION", "Pending"), ("purge", "PURGE_AUDIT_LOG", "Pending"),
        ("stopped", "PURGE_AUDIT_LOG", "Stopped"),
    ):  # fmt: skip
        execution = Execution.objects.create(kind=kind, status=status, created_at=now, updated_at=now)
        task = Task.objects.create(execution=execution, kind=kind, status=status, created_at=now, run_after=now)
        made |= {name: execution.pk, f"{name}_task": task.pk}
    return made


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
    idle = made["idle"].robot_id
    return {"robot": idle, "secret": add_secret(root, idle, overlap=timedelta(hours=1)).secret_id}, logins


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but those that are there to remember refusals: the outbox, of which the audit log is made,
    and failed log-ins."""
    tables = (table for table in apps.get_models() if table._meta.db_table not in ("outbox_event", "failed_logins"))
    return {table._meta.db_table: list(table._default_manager.order_by("pk").values_list()) for table in tables}


def path_of(row: Row, world: World, caller: str) -> str:
    """{me} is the caller's account, {token} their personal token; of who has none somebody else's."""
    own = {"me": world.names.get(caller, world.names["newcomer"])}
    token = world.names.get(f"token of {caller}", world.names["token of projectAdmin"])
    return row.path.format(**{**world.names, **own, "token": token})


def body_of(row: Row, world: World) -> str:
    """The body, in which {project}, {bare} and {label} are ids; its other braces are JSON's."""
    body = row.body
    for name in ("project", "bare", "label"):
        body = body.replace(f"{{{name}}}", str(world.names[name]))
    return body


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: f"{row.operation}-{row.method}")
def test_row(row: Row, world: World, api: Callable[..., HttpResponse]) -> None:
    """Each caller finds the world as it was made: what one was let in to do is undone before the next."""
    body = body_of(row, world)
    before = everything()
    wrong = {}
    for caller, status in row.statuses.items():
        user, password = world.logins.get(caller, ("", ""))
        path = path_of(row, world, caller)
        undo = transaction.savepoint()
        response = api(row.method, path, body or None, user=user, password=password)
        changes_nothing = status in REFUSALS or row.method in ("GET", "HEAD") or row.path in QUESTIONS
        if response.status_code != status or (everything() == before) is not changes_nothing:
            wrong[caller] = (response.status_code, response.content[:200], "changed" if not changes_nothing else "same")
        transaction.savepoint_rollback(undo)
        forget_robots()
    assert not wrong
