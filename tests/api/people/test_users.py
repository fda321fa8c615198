"""/users, as Harbor's clients use it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from haven_core.accounts.models import User
from haven_core.accounts.services import create_user
from haven_core.projects.models import ProjectMember
from tests.api.conftest import PASSWORD
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]
NEW: dict[str, Any] = {"username": "ann", "realname": "Ann", "email": "ann@example.com", "password": "Another1horse"}


def state() -> list[tuple[Any, ...]]:
    return list(User.objects.order_by("id").values_list())


def test_create_and_read(api: Call, users: dict[str, int]) -> None:
    response = api("POST", "/users", {**NEW, "comment": "new"}, user="root")
    user_id = User.objects.get(username="ann").pk
    assert (response.status_code, response["Location"]) == (201, f"/api/v2.0/users/{user_id}")
    body = api("GET", f"/users/{user_id}", user="ann", password="Another1horse").json()
    assert {key: body[key] for key in ("user_id", "username", "realname", "email", "comment", "sysadmin_flag")} == {
        "user_id": user_id, "username": "ann", "realname": "Ann", "email": "ann@example.com", "comment": "new",
        "sysadmin_flag": False,
    }  # fmt: skip
    assert b"pbkdf2" not in response.content
    assert "password" not in body


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"username": "owner"}, 409, "CONFLICT"),
        ({"username": "a,b"}, 400, "BAD_REQUEST"),
        ({"username": ""}, 400, "BAD_REQUEST"),
        ({"username": "a" * 256}, 422, "UNPROCESSABLE_ENTITY"),
        ({"username": 7}, 422, "UNPROCESSABLE_ENTITY"),
        ({"username": "a\x00"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"password": "short1A"}, 400, "BAD_REQUEST"),
        ({"password": "nouppercase1"}, 400, "BAD_REQUEST"),
        ({"password": "A1" + "a" * 127}, 400, "BAD_REQUEST"),
        ({"email": ""}, 400, "BAD_REQUEST"),
        ({"email": "no address"}, 400, "BAD_REQUEST"),
        ({"email": "a@b.c\n"}, 400, "BAD_REQUEST"),
        ({"realname": ""}, 400, "BAD_REQUEST"),
        ({"realname": "a#b"}, 400, "BAD_REQUEST"),
        ({"comment": "c" * 31}, 400, "BAD_REQUEST"),
    ],
)
def test_bad_users_are_not_made(
    api: Call, users: dict[str, int], change: dict[str, Any], status: int, code: str
) -> None:
    before = state()
    assert_error(api("POST", "/users", {**NEW, **change}, user="root"), status, code)
    assert state() == before


def test_an_address_is_one_persons(api: Call, users: dict[str, int]) -> None:
    assert api("POST", "/users", NEW, user="root").status_code == 201
    before = state()
    assert_error(api("POST", "/users", {**NEW, "username": "bob"}, user="root"), 409, "CONFLICT")
    profile = {"email": "ann@example.com", "realname": "Owner"}
    assert_error(api("PUT", f"/users/{users['owner']}", profile, user="owner"), 400, "BAD_REQUEST")
    assert state() == before


def test_list_and_search(api: Call, users: dict[str, int]) -> None:
    response = api("GET", "/users?sort=-username&page_size=2", user="root")
    assert [one["username"] for one in response.json()] == ["stranger", "root"]
    assert response["X-Total-Count"] == "4"
    assert [one["username"] for one in api("GET", "/users?q=username=~OW", user="root").json()] == ["owner"]
    assert [one["username"] for one in api("GET", "/users?username=gue", user="root").json()] == ["guest"]
    assert len(api("GET", "/users?q=password=~a", user="root").json()) == 4
    assert api("GET", "/users/search?username=own", user="stranger").json() == [
        {"user_id": users["owner"], "username": "owner"}
    ]
    assert_error(api("GET", "/users/search", user="stranger"), 422, "UNPROCESSABLE_ENTITY")


def test_queries_do_not_grow_with_the_list(api: Call, users: dict[str, int], django_assert_num_queries) -> None:
    api("GET", "/users", user="root")
    with django_assert_num_queries(3):  # the account, the page, the total
        assert len(api("GET", "/users", user="root").json()) == 4
    for number in range(20):
        create_user(username=f"u{number}", password=PASSWORD)
    with django_assert_num_queries(3):
        assert len(api("GET", "/users?page_size=100", user="root").json()) == 24


def test_a_profile_is_its_owners(api: Call, users: dict[str, int]) -> None:
    profile = {"email": "o@example.com", "realname": "O", "comment": "hi"}
    assert api("PUT", f"/users/{users['owner']}", profile, user="owner").status_code == 200
    assert User.objects.values_list("email", "realname", "comment").get(username="owner") == (
        "o@example.com",
        "O",
        "hi",
    )
    before = state()
    assert_error(api("PUT", f"/users/{users['owner']}", profile, user="stranger"), 403, "FORBIDDEN")
    assert_error(api("PUT", f"/users/{users['owner']}", {**profile, "sysadmin_flag": True, "email": "x"}, user="owner"),
                 400, "BAD_REQUEST")  # fmt: skip
    assert_error(api("PUT", "/users/99999", profile, user="root"), 404, "NOT_FOUND")
    assert_error(api("PUT", "/users/x", profile, user="root"), 422, "UNPROCESSABLE_ENTITY")
    assert state() == before


def test_delete_is_soft_and_frees_the_name(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    guest = users["guest"]
    assert api("GET", f"/projects/{projects['private']}", user="guest").status_code == 200
    assert api("DELETE", f"/users/{guest}", user="root").status_code == 200
    gone = User.objects.get(pk=guest)
    assert (gone.username, gone.deleted_at is not None) == (f"guest#{guest}", True)
    assert not ProjectMember.objects.filter(user_id=guest).exists()
    assert_error(api("GET", f"/projects/{projects['private']}", user="guest"), 401, "UNAUTHORIZED")
    assert_error(api("GET", f"/users/{guest}", user="root"), 404, "NOT_FOUND")
    assert_error(api("DELETE", f"/users/{guest}", user="root"), 404, "NOT_FOUND")
    assert api("POST", "/users", {**NEW, "username": "guest"}, user="root").status_code == 201


def test_a_name_of_full_length_can_be_deleted(api: Call, users: dict[str, int]) -> None:
    user_id = create_user(username="a" * 255, password=PASSWORD)
    assert api("DELETE", f"/users/{user_id}", user="root").status_code == 200
    assert User.objects.get(pk=user_id).username == "a" * (255 - len(f"#{user_id}")) + f"#{user_id}"


def test_oneself_and_the_first_account_stay(api: Call, users: dict[str, int]) -> None:
    User.objects.filter(pk=1).delete()
    User.objects.create(pk=1, username="first", is_sysadmin=True)
    before = state()
    for user_id in (users["root"], 1):
        assert_error(api("DELETE", f"/users/{user_id}", user="root"), 403, "FORBIDDEN")
    assert_error(api("PUT", "/users/1/sysadmin", {"sysadmin_flag": False}, user="root"), 403, "FORBIDDEN")
    assert state() == before


def test_sysadmin(api: Call, users: dict[str, int]) -> None:
    path = f"/users/{users['owner']}/sysadmin"
    assert api("PUT", path, {"sysadmin_flag": True}, user="root").status_code == 200
    assert api("GET", "/users", user="owner").status_code == 200
    assert api("PUT", path, {"sysadmin_flag": False}, user="root").status_code == 200
    assert_error(api("GET", "/users", user="owner"), 403, "FORBIDDEN")
    before = state()
    assert_error(api("PUT", path, {"sysadmin_flag": True}, user="owner"), 403, "FORBIDDEN")
    assert_error(api("PUT", path, {"sysadmin_flag": "yes"}, user="root"), 422, "UNPROCESSABLE_ENTITY")
    assert_error(api("PUT", "/users/99999/sysadmin", {"sysadmin_flag": True}, user="root"), 404, "NOT_FOUND")
    assert state() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"old_password": "Wrong1wrong", "new_password": "Another1horse"}, 403, "FORBIDDEN"),
        ({"new_password": "Another1horse"}, 403, "FORBIDDEN"),
        ({"old_password": PASSWORD, "new_password": "weak"}, 400, "BAD_REQUEST"),
        ({"old_password": PASSWORD, "new_password": PASSWORD}, 400, "BAD_REQUEST"),
        ({"old_password": 1, "new_password": PASSWORD}, 422, "UNPROCESSABLE_ENTITY"),
    ],
)
def test_bad_password_changes(api: Call, users: dict[str, int], body: dict[str, Any], status: int, code: str) -> None:
    before = state()
    assert_error(api("PUT", f"/users/{users['owner']}/password", body, user="owner"), status, code)
    assert state() == before


def test_passwords_change(api: Call, users: dict[str, int]) -> None:
    path = f"/users/{users['owner']}/password"
    body = {"old_password": PASSWORD, "new_password": "Another1horse"}
    assert_error(api("PUT", path, body, user="stranger"), 403, "FORBIDDEN")
    assert api("PUT", path, body, user="owner").status_code == 200
    assert_error(api("GET", "/users/current", user="owner"), 401, "UNAUTHORIZED")
    assert api("GET", "/users/current", user="owner", password="Another1horse").status_code == 200
    assert api("PUT", path, {"new_password": "Third1horse"}, user="root").status_code == 200
    assert api("GET", "/users/current", user="owner", password="Third1horse").status_code == 200


def test_what_the_caller_may(api: Call, projects: dict[str, int]) -> None:
    scope = f"/project/{projects['private']}"

    def asked(query: str, user: str) -> list[tuple[str, str]]:
        body = api("GET", f"/users/current/permissions?{query}", user=user).json()
        return [(one["resource"], one["action"]) for one in body]

    mine = asked(f"scope={scope}&relative=true", "guest")
    assert len(mine) == 20
    assert (".", "read") in mine
    assert ("repository", "pull") in mine
    assert ("repository", "push") not in mine
    absolute = asked(f"scope={scope}", "guest")
    assert (scope, "read") in absolute
    assert (f"{scope}/repository", "pull") in absolute
    assert len(asked(f"scope={scope}", "owner")) == 75
    assert asked(f"scope={scope}", "stranger") == asked("scope=/system", "owner") == asked("", "root") == []
    assert ("/system/user", "list") in asked("scope=/system", "root")
    assert ("metadata", "list") in asked(f"scope={scope}&relative=true", "root")
    assert_error(api("GET", "/users/current/permissions"), 401, "UNAUTHORIZED")


def test_a_cli_secret_is_for_oidc(api: Call, users: dict[str, int]) -> None:
    response = api("PUT", f"/users/{users['owner']}/cli_secret", {"secret": "Another1horse"}, user="owner")
    assert_error(response, 412, "PRECONDITION")
