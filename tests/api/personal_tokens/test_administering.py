"""Other people's personal access tokens: who may see and revoke them."""

from typing import Any

import pytest

from haven_core.accounts.services import set_auditor
from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog
from haven_core.personal_tokens.models import PersonalToken
from tests.api.personal_tokens.conftest import Call, Make
from tests.api.personal_tokens.test_making import CaptureQueries
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)


def state() -> list[tuple[Any, ...]]:
    return list(PersonalToken.objects.order_by("id").values_list())


def test_an_administrator_sees_and_revokes(api: Call, make: Make, users: dict[str, int]) -> None:
    mine, theirs, other = make("root"), make("guest", name="laptop", scope="pull"), make("owner")
    path = f"/users/{users['guest']}/tokens"
    listed = api("GET", path, user="root")
    assert [(one["id"], one["name"], one["scope"]) for one in listed.json()] == [(theirs["id"], "laptop", "pull")]
    assert listed["X-Total-Count"] == "1"
    assert theirs["secret"] not in listed.content.decode()
    assert api("GET", f"{path}/{theirs['id']}", user="root").json() == listed.json()[0]
    assert api("GET", "/users/current", user="guest", password=theirs["secret"]).status_code in (200, 403)

    assert api("DELETE", f"{path}/{theirs['id']}", user="root").status_code == 200

    assert api("GET", "/users/current", user="guest", password=theirs["secret"]).status_code == 401
    assert [row[0] for row in state()] == [mine["id"], other["id"]]
    assert_error(api("DELETE", f"{path}/{theirs['id']}", user="root"), 404, "NOT_FOUND")


def test_the_audit_log_says_whose(api: Call, make: Make, users: dict[str, int]) -> None:
    theirs = make("guest", name="laptop")
    AuditLog.objects.all().delete()
    api("DELETE", f"/users/{users['guest']}/tokens/{theirs['id']}", user="root")
    api("DELETE", f"/users/{users['root']}/tokens/1", user="guest")
    consume()
    told = AuditLog.objects.filter(resource_type="personal-token", operation="delete").order_by("id")
    assert list(told.values_list("username", "resource", "is_success")) == [
        ("root", "guest/laptop", True), ("guest", f"/users/{users['root']}/tokens/1", False),
    ]  # fmt: skip
    assert theirs["secret"] not in str(list(AuditLog.objects.values_list()))


def test_a_token_is_looked_for_with_its_owner(api: Call, make: Make, users: dict[str, int]) -> None:
    theirs = make("guest")
    before = state()
    for whose in (users["owner"], users["root"], 0, 10**9):
        for method in ("GET", "DELETE"):
            answer = api(method, f"/users/{whose}/tokens/{theirs['id']}", user="root")
            assert_error(answer, 404, "NOT_FOUND")
    assert_error(api("GET", f"/users/{10**9}/tokens", user="root"), 404, "NOT_FOUND")
    assert_error(api("GET", "/users/guest/tokens", user="root"), 422, "UNPROCESSABLE_ENTITY")
    assert state() == before


def test_others_see_only_their_own(api: Call, make: Make, users: dict[str, int]) -> None:
    mine, theirs = make("owner"), make("guest")
    before = state()
    for method, path in (("GET", ""), ("GET", f"/{theirs['id']}"), ("DELETE", f"/{theirs['id']}")):
        assert_error(api(method, f"/users/{users['guest']}/tokens{path}", user="owner"), 403, "FORBIDDEN")
        assert_error(api(method, f"/users/{users['guest']}/tokens{path}"), 401, "UNAUTHORIZED")
    assert state() == before
    path = f"/users/{users['owner']}/tokens"
    assert [one["id"] for one in api("GET", path, user="owner").json()] == [mine["id"]]
    assert api("DELETE", f"{path}/{mine['id']}", user="owner").status_code == 200
    assert [row[0] for row in state()] == [theirs["id"]]


def test_an_auditor_reads_and_revokes_only_their_own(api: Call, make: Make, users: dict[str, int]) -> None:
    set_auditor(user_id=users["stranger"], is_auditor=True, set_by="root")
    mine, theirs = make("stranger"), make("guest")
    path = f"/users/{users['guest']}/tokens"
    assert [one["id"] for one in api("GET", path, user="stranger").json()] == [theirs["id"]]
    assert_error(api("DELETE", f"{path}/{theirs['id']}", user="stranger"), 403, "FORBIDDEN")
    assert api("DELETE", f"/users/{users['stranger']}/tokens/{mine['id']}", user="stranger").status_code == 200
    assert [row[0] for row in state()] == [theirs["id"]]


def test_a_token_of_an_administrator_revokes_none(api: Call, make: Make, users: dict[str, int]) -> None:
    key, theirs = make("root", scope="full"), make("guest")
    path = f"/users/{users['guest']}/tokens"
    assert api("GET", path, user="root", password=key["secret"]).status_code == 200
    answer = api("DELETE", f"{path}/{theirs['id']}", user="root", password=key["secret"])
    assert_error(answer, 403, "FORBIDDEN")
    assert len(state()) == 2


def test_the_list_costs_the_same_for_any_number(
    api: Call, make: Make, users: dict[str, int], projects: dict[str, int]
) -> None:
    path, counts = f"/users/{users['owner']}/tokens?page_size=3&sort=name", []
    for number in (1, 5):
        for _ in range(number):
            make("owner", projects=["private", "public"])
        api("GET", path, user="root")
        with CaptureQueries() as seen:
            page = api("GET", path, user="root")
        counts.append(len(seen.queries))
    assert counts[0] == counts[1] <= 7
    assert (page["X-Total-Count"], len(page.json())) == ("6", 3)
