"""Members, groups and custom roles."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from haven_core.accounts.services import create_user
from haven_core.groups.models import GroupMembership, UserGroup
from haven_core.members.selectors import member_counts
from haven_core.projects.models import ProjectMember
from haven_core.rbac.access import project_access
from haven_core.rbac.models import CustomRole
from tests.api.conftest import PASSWORD
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]
MEMBERS = "/projects/private/members"


def state() -> list[list[tuple[Any, ...]]]:
    tables = (ProjectMember, UserGroup, GroupMembership, CustomRole)
    return [list(table.objects.order_by("pk").values_list()) for table in tables]


def made(response: Any) -> int:
    assert response.status_code == 201, response.content
    return int(response["Location"].rpartition("/")[2])


def test_add_change_remove(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    response = api("POST", MEMBERS, {"role_id": 2, "member_user": {"username": "stranger"}}, user="owner")
    member = made(response)
    assert response["Location"] == f"/api/v2.0/projects/private/members/{member}"
    assert api("GET", f"{MEMBERS}/{member}", user="guest").json() == {
        "id": member, "project_id": projects["private"], "entity_name": "stranger", "role_name": "developer",
        "role_id": 2, "entity_id": users["stranger"], "entity_type": "u",
    }  # fmt: skip
    assert api("GET", "/projects/private", user="stranger").json()["current_user_role_id"] == 2
    assert api("PUT", f"{MEMBERS}/{member}", {"role_id": 5}, user="owner").status_code == 200
    assert api("GET", f"{MEMBERS}/{member}", user="owner").json()["role_name"] == "limitedGuest"
    assert member_counts(projects["private"]) == {1: 1, 3: 1, 5: 1}
    assert api("DELETE", f"{MEMBERS}/{member}", user="owner").status_code == 200
    assert_error(api("GET", f"{MEMBERS}/{member}", user="owner"), 404, "NOT_FOUND")
    assert_error(api("GET", "/projects/private", user="stranger"), 403, "FORBIDDEN")


def test_list(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    response = api("GET", MEMBERS, user="guest")
    assert [(one["entity_name"], one["role_name"]) for one in response.json()] == [
        ("guest", "guest"), ("owner", "projectAdmin"),
    ]  # fmt: skip
    narrowed = api("GET", f"{MEMBERS}?entityname=OWN", user="guest")
    assert ([one["entity_name"] for one in narrowed.json()], narrowed["X-Total-Count"]) == (["owner"], "1")
    assert len(api("GET", f"{MEMBERS}?page_size=1&page=2", user="guest").json()) == 1


def test_queries_do_not_grow_with_the_list(api: Call, projects: dict[str, int], django_assert_num_queries) -> None:
    api("GET", MEMBERS, user="owner")
    with django_assert_num_queries(5):
        assert len(api("GET", MEMBERS, user="owner").json()) == 2
    for number in range(20):
        ProjectMember.objects.create(
            project_id=projects["private"], role=3, created_at=timezone.now(),
            user_id=create_user(username=f"u{number}", password=PASSWORD),
        )  # fmt: skip
    with django_assert_num_queries(5):
        assert len(api("GET", f"{MEMBERS}?page_size=100", user="owner").json()) == 22


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"role_id": 9, "member_user": {"username": "stranger"}}, 400, "BAD_REQUEST"),
        ({"member_user": {"username": "stranger"}}, 400, "BAD_REQUEST"),
        ({"role_id": 1001, "member_user": {"username": "stranger"}}, 400, "BAD_REQUEST"),
        ({"role_id": 2}, 400, "BAD_REQUEST"),
        ({"role_id": 2, "member_user": {"username": "nobody"}}, 404, "NOT_FOUND"),
        ({"role_id": 2, "member_user": {"user_id": 99999}}, 404, "NOT_FOUND"),
        ({"role_id": 2, "member_group": {"id": 99999}}, 404, "NOT_FOUND"),
        ({"role_id": 2, "member_group": {"group_name": "none", "group_type": 3}}, 404, "NOT_FOUND"),
        ({"role_id": 2, "member_user": {"username": "guest"}}, 409, "CONFLICT"),
        ({"role_id": "2", "member_user": {"username": "stranger"}}, 422, "UNPROCESSABLE_ENTITY"),
        ({"role_id": 2, "member_user": "stranger"}, 422, "UNPROCESSABLE_ENTITY"),
    ],
)
def test_bad_members_are_not_added(
    api: Call, projects: dict[str, int], body: dict[str, Any], status: int, code: str
) -> None:
    before = state()
    assert_error(api("POST", MEMBERS, body, user="owner"), status, code)
    assert state() == before


def test_a_member_of_another_project_is_none_of_this(api: Call, projects: dict[str, int]) -> None:
    other = ProjectMember.objects.get(project_id=projects["public"]).pk
    before = state()
    for method, body in (("GET", None), ("PUT", {"role_id": 3}), ("DELETE", None)):
        assert_error(api(method, f"{MEMBERS}/{other}", body, user="owner"), 404, "NOT_FOUND")
    assert state() == before


def test_a_group_gives_its_people_its_role(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    from haven_core.domain.actor import Actor

    group = made(api("POST", "/usergroups", {"group_name": "team", "group_type": 3}, user="root"))
    stranger = Actor("user", users["stranger"], "stranger", is_sysadmin=False)
    body = {"role_id": 4, "member_group": {"group_name": "team", "group_type": 3}}
    member = made(api("POST", MEMBERS, body, user="owner"))
    assert api("GET", f"{MEMBERS}/{member}", user="owner").json()["entity_type"] == "g"
    assert_error(api("GET", "/projects/private", user="stranger"), 403, "FORBIDDEN")
    people = f"/haven/usergroups/{group}/members"
    assert api("PUT", people, {"user_ids": [users["stranger"], users["guest"]]}, user="root").status_code == 200
    assert api("GET", "/projects/private", user="stranger").json()["current_user_role_ids"] == [4]
    assert api("GET", "/projects/private", user="guest").json()["current_user_role_ids"] == [3, 4]
    assert api("GET", "/projects/private", user="guest").json()["current_user_role_id"] == 4
    access = project_access(stranger, "private")
    assert access is not None
    assert access.actions == {"pull", "push", "delete"}
    assert [one["name"] for one in api("GET", "/projects", user="stranger").json()] == ["private", "public"]
    assert api("PUT", people, {"user_ids": []}, user="root").status_code == 200
    assert_error(api("GET", "/projects/private", user="stranger"), 403, "FORBIDDEN")
    assert api("GET", "/projects/private", user="guest").json()["current_user_role_ids"] == [3]


def test_groups(api: Call, users: dict[str, int]) -> None:
    group = made(api("POST", "/usergroups", {"group_name": "team", "group_type": 2}, user="root"))
    shown = {"id": group, "group_name": "team", "group_type": 2, "ldap_group_dn": ""}
    assert api("GET", f"/usergroups/{group}", user="root").json() == shown
    assert api("GET", "/usergroups?group_name=EA", user="root").json() == [shown]
    assert api("GET", "/usergroups/search?groupname=ea", user="stranger").json() == [
        {"id": group, "group_name": "team", "group_type": 2}
    ]
    before = state()
    for body, status, code in (
        ({"group_name": "team", "group_type": 2}, 409, "CONFLICT"),
        ({"group_name": "", "group_type": 2}, 400, "BAD_REQUEST"),
        ({"group_name": "x", "group_type": 1}, 400, "BAD_REQUEST"),
        ({"group_name": "x", "group_type": 9}, 400, "BAD_REQUEST"),
        ({"group_name": "x", "group_type": "2"}, 422, "UNPROCESSABLE_ENTITY"),
    ):
        assert_error(api("POST", "/usergroups", body, user="root"), status, code)
    assert_error(
        api("PUT", f"/haven/usergroups/{group}/members", {"user_ids": [99999]}, user="root"), 400, "BAD_REQUEST"
    )
    assert_error(api("GET", "/usergroups/99999", user="root"), 404, "NOT_FOUND")
    assert_error(api("GET", "/usergroups/search?groupname=", user="root"), 400, "BAD_REQUEST")
    assert state() == before
    assert api("PUT", f"/usergroups/{group}", {"group_name": "crew"}, user="root").status_code == 200
    other = made(api("POST", "/usergroups", {"group_name": "team", "group_type": 2}, user="root"))
    assert_error(api("PUT", f"/usergroups/{other}", {"group_name": "crew"}, user="root"), 400, "BAD_REQUEST")


def test_a_deleted_group_takes_its_memberships_along(
    api: Call, projects: dict[str, int], users: dict[str, int]
) -> None:
    group = made(api("POST", "/usergroups", {"group_name": "team", "group_type": 3}, user="root"))
    made(api("POST", MEMBERS, {"role_id": 3, "member_group": {"id": group}}, user="owner"))
    api("PUT", f"/haven/usergroups/{group}/members", {"user_ids": [users["stranger"]]}, user="root")
    assert api("DELETE", f"/usergroups/{group}", user="root").status_code == 200
    assert not UserGroup.objects.exists()
    assert not GroupMembership.objects.exists()
    assert not ProjectMember.objects.exclude(group=None).exists()
    assert_error(api("DELETE", f"/usergroups/{group}", user="root"), 404, "NOT_FOUND")


def role_of(*permissions: str, name: str = "keeper") -> dict[str, Any]:
    return {
        "name": name,
        "permissions": [dict(zip(("resource", "action"), one.split(":"), strict=True)) for one in permissions],
    }


def test_a_custom_role(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    body = role_of("repository:pull", "repository:delete", "project:read", "member:list")
    role = made(api("POST", "/haven/roles", body, user="root"))
    assert role > 1000
    member = made(api("POST", MEMBERS, {"role_id": role, "member_user": {"username": "stranger"}}, user="owner"))
    shown = api("GET", f"{MEMBERS}/{member}", user="owner").json()
    assert (shown["role_id"], shown["role_name"]) == (role, "keeper")
    assert api("GET", "/projects/private", user="stranger").json()["current_user_role_id"] == role
    assert api("GET", MEMBERS, user="stranger").status_code == 200
    assert_error(api("GET", f"{MEMBERS}/{member}", user="stranger"), 403, "FORBIDDEN")
    from haven_core.domain.actor import Actor

    access = project_access(Actor("user", users["stranger"], "stranger", is_sysadmin=False), "private")
    assert access is not None
    assert access.actions == {"pull", "delete"}
    before = state()
    assert_error(api("DELETE", f"/haven/roles/{role}", user="root"), 412, "PRECONDITION")
    assert state() == before
    assert api("PUT", f"/haven/roles/{role}", role_of("project:read"), user="root").status_code == 200
    assert_error(api("GET", MEMBERS, user="stranger"), 403, "FORBIDDEN")
    assert api("DELETE", f"{MEMBERS}/{member}", user="owner").status_code == 200
    assert api("DELETE", f"/haven/roles/{role}", user="root").status_code == 200
    assert_error(api("GET", f"/haven/roles/{role}", user="root"), 404, "NOT_FOUND")


def test_nobody_gives_more_than_they_have(api: Call, projects: dict[str, int]) -> None:
    role = made(api("POST", "/haven/roles", role_of("member:create", "member:update", "member:delete"), user="root"))
    made(api("POST", MEMBERS, {"role_id": role, "member_user": {"username": "stranger"}}, user="owner"))
    mine = ProjectMember.objects.get(custom_role_id=role - 1000).pk
    admin = ProjectMember.objects.get(project_id=projects["private"], role=1).pk
    beyond = made(api("POST", "/haven/roles", role_of("metadata:list", name="beyond"), user="root"))
    before = state()
    body = {"role_id": 1, "member_user": {"username": "root"}}
    assert_error(api("POST", MEMBERS, body, user="stranger"), 403, "FORBIDDEN")
    assert_error(api("PUT", f"{MEMBERS}/{mine}", {"role_id": 1}, user="stranger"), 403, "FORBIDDEN")
    assert_error(api("PUT", f"{MEMBERS}/{admin}", {"role_id": role}, user="stranger"), 403, "FORBIDDEN")
    assert_error(api("DELETE", f"{MEMBERS}/{admin}", user="stranger"), 403, "FORBIDDEN")
    assert_error(api("PUT", f"{MEMBERS}/{mine}", {"role_id": beyond}, user="owner"), 403, "FORBIDDEN")
    assert state() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (role_of("user:list"), 400, "BAD_REQUEST"),
        (role_of("repository:fly"), 400, "BAD_REQUEST"),
        (role_of("project:read", name=""), 400, "BAD_REQUEST"),
        (role_of("project:read", name="r" * 65), 400, "BAD_REQUEST"),
        (role_of("project:read", name="maintainer"), 409, "CONFLICT"),
        ({"name": "x"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "x", "permissions": ["project:read"]}, 422, "UNPROCESSABLE_ENTITY"),
    ],
)
def test_bad_roles_are_not_made(api: Call, users: dict[str, int], body: dict[str, Any], status: int, code: str) -> None:
    before = state()
    assert_error(api("POST", "/haven/roles", body, user="root"), status, code)
    assert state() == before


def test_harbors_roles_stay(api: Call, users: dict[str, int]) -> None:
    roles = api("GET", "/haven/roles", user="stranger").json()
    assert [(role["role_id"], role["name"], role["is_builtin"]) for role in roles] == [
        (1, "projectAdmin", True), (4, "maintainer", True), (2, "developer", True), (3, "guest", True),
        (5, "limitedGuest", True),
    ]  # fmt: skip
    assert_error(api("DELETE", "/haven/roles/1", user="root"), 404, "NOT_FOUND")
    assert_error(api("PUT", "/haven/roles/1", role_of("project:read"), user="root"), 404, "NOT_FOUND")
    assert api("GET", "/haven/roles/1", user="stranger").json()["name"] == "projectAdmin"
