"""Each operation by each caller, in a world of its own. A refusal changes no row of any table."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.http import HttpResponse
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.domain.actor import Actor
from haven_core.domain.roles import CUSTOM_ROLE_BASE, NAMES
from haven_core.groups.services import Kind, create_group, set_people
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from haven_core.rbac.roles import create_role
from tests.api.conftest import PASSWORD
from tests.api.permissions.table import CALLERS, Cell, cells

pytestmark = pytest.mark.django_db

REFUSALS = (401, 403, 404, 412)


@pytest.fixture
def world(db: None) -> dict[str, int]:
    """What the paths of the tables name: a private project with a member of each role, a spare member, an account, a
    group, a role in use and one that isn't. The callers are accounts of their columns' names."""
    people = {
        name: create_user(username=name, password=PASSWORD, is_sysadmin=name == "sysadmin")
        for name in (*CALLERS[1:], "owner", "spare", "newcomer")
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
    return people | {"project": project, "member": spare.pk, "group": group, "role": role, "unused_role": unused}


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the outbox, where the audit log hears of refusals."""
    tables = (table for table in apps.get_models() if table._meta.db_table != "outbox_event")
    return {table._meta.db_table: list(table._default_manager.order_by("pk").values_list()) for table in tables}


@pytest.mark.parametrize("cell", list(cells()), ids=lambda cell: f"{cell.operation}-{cell.caller}")
def test_cell(cell: Cell, world: dict[str, int], api: Callable[..., HttpResponse]) -> None:
    user = "" if cell.caller == "nobody" else cell.caller
    path = cell.path.format(me=world.get(user, world["newcomer"]), **world)
    before = everything()
    response = api(cell.method, path, cell.body or None, user=user)
    assert response.status_code == cell.status, response.content
    if cell.status in REFUSALS or cell.method == "GET":
        assert everything() == before
    else:
        assert everything() != before, "it was let in, and did nothing"
