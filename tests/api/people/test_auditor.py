"""The read-only system auditor: sees everything, changes nothing, pulls nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone

from haven_core.accounts import actors
from haven_core.accounts.models import User
from haven_core.accounts.services import create_user, set_auditor, set_sysadmin
from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role
from haven_core.projects.models import ProjectMember
from haven_core.rbac import reach
from haven_core.rbac.access import project_access, visible_projects
from haven_core.tokens.scopes import Scope
from haven_core.tokens.service import grant
from tests.api.conftest import PASSWORD
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]
EVERYTHING = frozenset({"pull", "push", "delete"})


@pytest.fixture
def auditor(users: dict[str, int]) -> Actor:
    user_id = create_user(username="auditor", password=PASSWORD)
    set_auditor(user_id=user_id, is_auditor=True, set_by="root")
    return reach.user_actor(user_id, "auditor", is_sysadmin=False, is_auditor=True, epoch=0)


def state() -> list[tuple[Any, ...]]:
    return list(User.objects.order_by("id").values_list())


def test_an_administrator_makes_and_ends_one(api: Call, users: dict[str, int]) -> None:
    path = f"/users/{users['guest']}/auditor"
    assert api("GET", "/audit-logs", user="guest").json() == []
    assert api("PUT", path, {"auditor_flag": True}, user="root").status_code == 200
    shown = api("GET", f"/users/{users['guest']}", user="guest").json()
    assert (shown["auditor_flag"], shown["sysadmin_flag"]) == (True, False)
    assert [one["username"] for one in api("GET", "/users?q=auditor_flag=true", user="guest").json()] == ["guest"]
    assert api("PUT", path, {"auditor_flag": False}, user="root").status_code == 200
    assert_error(api("GET", "/users", user="guest"), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("caller", "body", "status", "code"),
    [
        ("", {"auditor_flag": True}, 401, "UNAUTHORIZED"),
        ("guest", {"auditor_flag": True}, 403, "FORBIDDEN"),
        ("root", {"auditor_flag": "true"}, 422, "UNPROCESSABLE_ENTITY"),
        ("root", {"auditor_flag": None}, 422, "UNPROCESSABLE_ENTITY"),
        ("root", {}, 422, "UNPROCESSABLE_ENTITY"),
        ("root", [], 422, "UNPROCESSABLE_ENTITY"),
    ],
)
def test_refused(api: Call, users: dict[str, int], caller: str, body: Any, status: int, code: str) -> None:
    before = state()
    assert_error(api("PUT", f"/users/{users['guest']}/auditor", body, user=caller), status, code)
    assert state() == before


def test_no_account_is_both(api: Call, users: dict[str, int], auditor: Actor) -> None:
    before = state()
    assert_error(api("PUT", f"/users/{users['root']}/auditor", {"auditor_flag": True}, user="root"), 409, "CONFLICT")
    assert_error(api("PUT", "/users/4711/auditor", {"auditor_flag": True}, user="root"), 404, "NOT_FOUND")
    assert state() == before
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=users["root"]).update(is_auditor=True)
    set_sysadmin(user_id=auditor.user_id, is_sysadmin=True, set_by="root")
    row = User.objects.get(pk=auditor.user_id)
    assert (row.is_sysadmin, row.is_auditor) == (True, False)


def test_sees_everything(api: Call, projects: dict[str, int], auditor: Actor) -> None:
    private = projects["private"]
    names = [one["name"] for one in api("GET", "/projects", user="auditor").json()]
    assert names == ["private", "public"]
    for path in (
        f"/projects/{private}", f"/projects/{private}/members", f"/projects/{private}/metadatas/",
        "/projects/private/logs", "/projects/private/repositories", "/audit-logs", "/auditlog-exts/events", "/users",
        "/robots", f"/robots?q=Level%3Dproject,ProjectID%3D{private}", "/quotas", f"/quotas/{private}",
        "/configurations", "/system/gc", "/system/purgeaudit", "/jobservice/queues", "/schedules", "/usergroups",
        f"/labels?scope=p&project_id={private}", "/permissions", "/haven/roles",
    ):  # fmt: skip
        assert api("GET", path, user="auditor").status_code == 200, path
    totals = api("GET", "/statistics", user="auditor").json()
    assert totals["total_project_count"] == 2
    assert_error(api("GET", "/projects/missing", user="auditor"), 404, "NOT_FOUND")


def test_what_it_may_is_told(api: Call, projects: dict[str, int], auditor: Actor) -> None:
    for scope in ("/system", f"/project/{projects['private']}"):
        told = api("GET", f"/users/current/permissions?scope={scope}", user="auditor").json()
        assert len(told) > 10
        assert {one["action"] for one in told} == {"read", "list"}


def test_changes_nothing_even_where_it_is_a_project_admin(api: Call, projects: dict[str, int], auditor: Actor) -> None:
    ProjectMember.objects.create(
        project_id=projects["private"], user_id=auditor.user_id, role=Role.PROJECT_ADMIN, created_at=timezone.now()
    )
    before = state(), list(ProjectMember.objects.order_by("id").values_list())
    private = projects["private"]
    for method, path, body in (
        ("DELETE", f"/projects/{private}", None),
        ("PUT", f"/projects/{private}", {"metadata": {"public": "true"}}),
        ("POST", f"/projects/{private}/members", {"role_id": 1, "member_user": {"username": "stranger"}}),
        ("POST", "/projects", {"project_name": "new"}),
        ("POST", "/labels", {"name": "l", "scope": "p", "project_id": private}),
        ("POST", "/labels", {"name": "l", "scope": "g"}),
        ("PUT", "/configurations", {"read_only": True}),
        ("PUT", f"/users/{auditor.user_id}/sysadmin", {"sysadmin_flag": True}),
        ("PUT", f"/users/{auditor.user_id}/auditor", {"auditor_flag": False}),
        ("DELETE", f"/users/{auditor.user_id}", None),
        ("POST", "/system/gc/schedule", {"schedule": {"type": "Daily"}}),
    ):
        assert_error(api(method, path, body, user="auditor"), 403, "FORBIDDEN")
    assert (state(), list(ProjectMember.objects.order_by("id").values_list())) == before


def test_keeps_its_own_account(api: Call, auditor: Actor) -> None:
    path = f"/users/{auditor.user_id}"
    profile = {"email": "auditor@example.com", "realname": "Auditor", "comment": ""}
    assert api("PUT", path, profile, user="auditor").status_code == 200
    change = {"old_password": PASSWORD, "new_password": "Another1horse"}
    assert api("PUT", f"{path}/password", change, user="auditor").status_code == 200
    assert api("GET", "/users", user="auditor", password="Another1horse").status_code == 200


def test_pulls_what_is_public_or_its_own_and_pushes_nothing(projects: dict[str, int], auditor: Actor) -> None:
    scopes = [Scope("repository", f"{name}/app", EVERYTHING) for name in projects]
    granted = {scope.name: scope.actions for scope in grant(auditor, scopes)}
    assert granted == {"private/app": frozenset(), "public/app": frozenset({"pull"})}
    ProjectMember.objects.create(
        project_id=projects["private"], user_id=auditor.user_id, role=Role.MAINTAINER, created_at=timezone.now()
    )
    access = project_access(auditor, "private", EVERYTHING)
    assert access is not None
    assert access.actions == {"pull"}


def test_the_querysets_know(projects: dict[str, int], auditor: Actor, django_assert_num_queries) -> None:
    """Whatever a view forgets to ask."""
    with django_assert_num_queries(1):
        assert visible_projects(auditor).count() == 2
    plain = reach.user_actor(auditor.user_id, "auditor", is_sysadmin=False, is_auditor=False, epoch=0)
    assert [one.name for one in visible_projects(plain)] == ["public"]


def test_ends_at_once_in_this_process(projects: dict[str, int], auditor: Actor) -> None:
    """And in others when what they remember is STALENESS_SECONDS old."""
    now = actors.current_actor(auditor.user_id, 0)
    assert now == auditor
    set_auditor(user_id=auditor.user_id, is_auditor=False, set_by="root")
    later = actors.current_actor(auditor.user_id, 0)
    assert later is not None
    assert visible_projects(later).count() == 1
