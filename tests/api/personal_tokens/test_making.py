"""Making, listing and revoking personal access tokens."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from haven_core.accounts import services
from haven_core.accounts.services import create_user, deactivate, delete_user, reset_admin, set_password
from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog
from haven_core.domain.actor import Actor
from haven_core.domain.personal_tokens import generate_secret, hash_secret, is_secret
from haven_core.events.models import OutboxEvent
from haven_core.personal_tokens.models import PersonalToken
from tests.api.conftest import PASSWORD
from tests.api.personal_tokens.conftest import PATH, Call, Make
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)


def state() -> list[tuple[Any, ...]]:
    return list(PersonalToken.objects.order_by("id").values_list())


def test_the_secret_is_shown_once_and_stored_hashed(api: Call, make: Make, projects: dict[str, int]) -> None:
    response = api("POST", PATH, {"name": "laptop", "scope": "pull", "projects": ["private"]}, user="owner")
    made = response.json()
    assert (response.status_code, response["Location"], response["Cache-Control"]) == (
        201, f"/api/v2.0{PATH}/{made['id']}", "no-store",
    )  # fmt: skip
    assert is_secret(made["secret"])
    row = PersonalToken.objects.get()
    assert (row.user.username, row.name, row.hash) == ("owner", "laptop", hash_secret(made["secret"]))
    shown = api("GET", f"{PATH}/{made['id']}", user="owner").json()
    assert shown == {
        "id": made["id"], "name": "laptop", "scope": "pull", "projects": ["private"],
        "creation_time": made["creation_time"], "expires_at": made["expires_at"], "last_used_time": None,
        "last_used_from": "",
    }  # fmt: skip
    assert made["expires_at"] == int(row.created_at.timestamp()) + 30 * 86_400
    assert api("GET", PATH, user="owner").json() == [shown]


def test_a_secret_has_a_form_that_scanners_find() -> None:
    secret = generate_secret()
    assert secret.startswith("haven_pat_")
    assert len(secret) == 48
    assert generate_secret() != secret
    other = "A" if secret[20] != "A" else "B"
    for wrong in ("", secret[:-1], secret + "a", secret[:20] + other + secret[21:], secret.upper(), "x" * 48):
        assert not is_secret(wrong)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "UNPROCESSABLE_ENTITY"),
        ([], 422, "UNPROCESSABLE_ENTITY"),
        ({"name": 7}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": ""}, 400, "BAD_REQUEST"),
        ({"name": "n" * 65}, 400, "BAD_REQUEST"),
        ({"name": "n" * 256}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "a\nb"}, 400, "BAD_REQUEST"),
        ({"name": " a"}, 400, "BAD_REQUEST"),
        ({"name": "a\x00"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "scope": "admin"}, 400, "BAD_REQUEST"),
        ({"name": "n", "scope": ""}, 400, "BAD_REQUEST"),
        ({"name": "n", "scope": None}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "expires_in_days": 0}, 400, "BAD_REQUEST"),
        ({"name": "n", "expires_in_days": -1}, 400, "BAD_REQUEST"),
        ({"name": "n", "expires_in_days": 366}, 400, "BAD_REQUEST"),
        ({"name": "n", "expires_in_days": 2**63 - 1}, 400, "BAD_REQUEST"),
        ({"name": "n", "expires_in_days": 2**63}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "expires_in_days": "30"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "projects": []}, 400, "BAD_REQUEST"),
        ({"name": "n", "projects": "private"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "projects": [1]}, 422, "UNPROCESSABLE_ENTITY"),
        ({"name": "n", "projects": [f"p{number}" for number in range(101)]}, 400, "BAD_REQUEST"),
        ({"name": "n", "projects": ["missing"]}, 404, "NOT_FOUND"),
        ({"name": "n", "projects": ["private"]}, 404, "NOT_FOUND"),  # which stranger can't see
    ],
)
def test_refused(api: Call, projects: dict[str, int], body: Any, status: int, code: str) -> None:
    assert_error(api("POST", PATH, body, user="stranger"), status, code)
    assert state() == []


def test_who_has_none(api: Call, make: Make) -> None:
    for method, path, body in (("GET", PATH, None), ("POST", PATH, {"name": "n"}), ("DELETE", f"{PATH}/1", None)):
        assert_error(api(method, path, body), 401, "UNAUTHORIZED")
        assert_error(api(method, path, body, user="owner", password="wrong"), 401, "UNAUTHORIZED")
    robot = {
        "name": "ci", "level": "system", "duration": 1,
        "permissions": [{"kind": "system", "namespace": "/", "access": [{"resource": "user", "action": "list"}]}],
    }  # fmt: skip
    made = api("POST", "/robots", robot, user="root").json()
    for method, body in (("GET", None), ("POST", {"name": "n"})):
        answer = api(method, PATH, body, user=made["name"], password=made["secret"])
        assert_error(answer, 412, "PRECONDITION")
    assert state() == []


def test_lifetimes_are_configured(api: Call, make: Make) -> None:
    limits = {"personal_token_duration": 90, "personal_token_max_duration": 7}
    assert api("PUT", "/configurations", limits, user="root").status_code == 200
    make()
    make(expires_in_days=7)
    assert [(row.expires_at - row.created_at).days for row in PersonalToken.objects.all()] == [7, 7]
    assert_error(api("POST", PATH, {"name": "n", "expires_in_days": 8}, user="owner"), 400, "BAD_REQUEST")
    for wrong in (0, -1, 36_501):
        assert_error(api("PUT", "/configurations", {"personal_token_duration": wrong}, user="root"), 400, "BAD_REQUEST")


def test_one_sees_and_revokes_only_ones_own(api: Call, make: Make) -> None:
    mine, theirs = make("owner"), make("guest")
    before = state()
    assert [one["id"] for one in api("GET", PATH, user="owner").json()] == [mine["id"]]
    for user in ("owner", "root"):
        assert_error(api("GET", f"{PATH}/{theirs['id']}", user=user), 404, "NOT_FOUND")
        assert_error(api("DELETE", f"{PATH}/{theirs['id']}", user=user), 404, "NOT_FOUND")
    assert state() == before
    assert api("DELETE", f"{PATH}/{mine['id']}", user="owner").status_code == 200
    assert [row[0] for row in state()] == [theirs["id"]]
    assert_error(api("DELETE", f"{PATH}/{mine['id']}", user="owner"), 404, "NOT_FOUND")


def test_names_are_ones_own_and_free_after_expiry(api: Call, make: Make, later: Any) -> None:
    make("owner", name="n", expires_in_days=1)
    make("guest", name="n")
    assert_error(api("POST", PATH, {"name": "n"}, user="owner"), 409, "CONFLICT")
    later(days=1)
    make("owner", name="n")
    assert PersonalToken.objects.count() == 2


def test_there_is_a_cap(api: Call, make: Make, users: dict[str, int]) -> None:
    now = timezone.now()
    PersonalToken.objects.bulk_create(
        PersonalToken(
            user_id=users["owner"], name=f"t{number}", hash=f"{number}", scope="pull", created_at=now,
            expires_at=now + timezone.timedelta(days=1),
        )
        for number in range(100)
    )  # fmt: skip
    assert_error(api("POST", PATH, {"name": "n"}, user="owner"), 409, "CONFLICT")
    assert PersonalToken.objects.count() == 100


def test_the_list_costs_the_same_for_any_number(
    api: Call, make: Make, projects: dict[str, int], django_assert_num_queries: Any
) -> None:
    counts = []
    for number in (1, 5):
        for _ in range(number):
            make(projects=["private", "public"])
        api("GET", PATH, user="owner")
        with CaptureQueries() as seen:
            page = api("GET", f"{PATH}?page_size=3&sort=name", user="owner")
        counts.append(len(seen.queries))
    assert counts[0] == counts[1] <= 6
    assert page["X-Total-Count"] == "6"
    assert 'rel="next"' in page["Link"]
    assert page.json()[0]["projects"] == ["private", "public"]


class CaptureQueries:
    """The statements of a block."""

    def __enter__(self) -> "CaptureQueries":
        connection.force_debug_cursor = True
        self._from = len(connection.queries_log)
        return self

    def __exit__(self, *_: object) -> None:
        self.queries = list(connection.queries_log)[self._from :]
        connection.force_debug_cursor = False


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        (lambda user_id: delete_user(user_id=user_id, deleted_by=Actor("user", 1, "root", is_sysadmin=True)), False),
        (lambda user_id: deactivate(user_id=user_id), False),
        (
            lambda user_id: services.reset_password(user_id=user_id, password="Another1horse", reset_by="root"),
            False,
        ),
        (lambda user_id: set_password(user_id=user_id, password="Another1horse"), True),  # its own doing
    ],
)
def test_what_ends_them(api: Call, make: Make, users: dict[str, int], change: Any, keeps: bool) -> None:
    made, other = make("guest"), make("owner")
    change(users["guest"])
    assert api("GET", "/users/current", user="guest", password=made["secret"]).status_code == (200 if keeps else 401)
    assert [row[0] for row in state()] == ([made["id"], other["id"]] if keeps else [other["id"]])


def test_the_recovery_of_admin_ends_them(api: Call, make: Make) -> None:
    create_user(username="admin", password=PASSWORD, is_sysadmin=True)
    made = make("admin")
    reset_admin("Another1horse")
    assert api("GET", "/users/current", user="admin", password=made["secret"]).status_code == 401


def test_the_audit_log_and_the_events_tell_without_the_secret(api: Call, make: Make) -> None:
    made = make("owner", name="laptop")
    api("DELETE", f"{PATH}/{made['id']}", user="owner")
    events = list(OutboxEvent.objects.order_by("id").values_list("topic", "payload"))
    assert [topic for topic, _ in events if topic.startswith("personal_token")] == [
        "personal_token.created", "personal_token.revoked",
    ]  # fmt: skip
    consume()
    told = AuditLog.objects.filter(resource_type="personal-token").order_by("id")
    assert list(told.values_list("username", "operation", "resource", "is_success")) == [
        ("owner", "create", "laptop", True), ("owner", "delete", "laptop", True),
    ]  # fmt: skip
    stored = str(events) + str(list(AuditLog.objects.values_list()))
    assert made["secret"] not in stored
    assert hash_secret(made["secret"]) not in stored
