"""/audit-logs, /auditlog-exts: who sees what, filters; what the API itself leaves in the log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from haven_core.audit.models import AuditLog
from haven_core.configuration.keys import EVENT_TYPES
from haven_core.configuration.services import update
from haven_core.domain.actor import Actor
from haven_core.projects.services import delete_project
from tests.api.settings.support import Call, assert_error, audit_log, ok

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int, project_id: int | None, **values: Any) -> AuditLog:
    fields = {
        "op_time": START + timedelta(hours=number), "username": "anne", "address": "192.0.2.7", "operation": "create",
        "resource_type": "artifact", "resource": f"private/app:{number}", "description": f"line {number}",
        "is_success": True, **values,
    }  # fmt: skip
    return AuditLog.objects.create(event_id=1_000_000 + number, project_id=project_id, **fields)


@pytest.fixture
def log(projects: dict[str, int]) -> None:
    line(0, projects["private"])
    line(1, projects["private"], operation="delete", username="bob")
    line(2, projects["public"], resource_type="tag", is_success=False)
    line(3, None, resource_type="configuration", operation="update", resource="read_only")


def lines(api: Call, path: str, user: str) -> list[str]:
    return [entry["resource"] for entry in ok(api("GET", path, user=user)).json()]


def test_fields(api: Call, log: None) -> None:
    newest = ok(api("GET", "/auditlog-exts?page_size=1", user="root")).json()[0]
    assert newest.pop("id") > 0
    assert newest == {
        "op_time": "2026-01-01T03:00:00.000Z", "username": "anne", "operation": "update", "resource_type": "configuration",
        "resource": "read_only", "operation_description": "line 3", "operation_result": True,
        "client_address": "192.0.2.7",
    }  # fmt: skip
    old = ok(api("GET", "/audit-logs?page_size=1", user="root")).json()[0]
    assert old.keys() == {"id", "username", "resource", "resource_type", "operation", "op_time"}


def test_who_sees_what(api: Call, log: None) -> None:
    everything = ["read_only", "private/app:2", "private/app:1", "private/app:0"]
    assert lines(api, "/auditlog-exts", "root") == everything
    assert lines(api, "/audit-logs", "root") == [everything[0], *everything[2:]]  # it knows no failures
    assert lines(api, "/auditlog-exts", "owner") == everything[1:]
    for user in ("guest", "stranger"):
        response = ok(api("GET", "/auditlog-exts", user=user))
        assert (response.json(), response["X-Total-Count"]) == ([], "0")
        for path in ("/projects/private/logs", "/projects/private/auditlog-exts"):
            assert_error(api("GET", path, user=user), 403, "FORBIDDEN")
    for path in ("/audit-logs", "/auditlog-exts", "/projects/public/logs", "/projects/private/auditlog-exts"):
        assert_error(api("GET", path), 401, "UNAUTHORIZED")
    assert lines(api, "/projects/private/auditlog-exts", "owner") == everything[2:]
    assert lines(api, "/projects/public/auditlog-exts", "owner") == ["private/app:2"]
    assert lines(api, "/projects/public/logs", "owner") == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("username=bob", ["1"]), ("operation=create", ["2", "0"]), ("resource=~APP:1", ["1"]), ("resource_type=tag", ["2"]),
        ("op_time=[2026-01-01T01:00:00~2026-01-01T02:00:00]", ["2", "1"]), ("op_time=[~2026-01-01T00:30:00]", ["0"]),
        ("operation={create delete}", ["2", "1", "0"]), ("operation_result=false", ["2"]), ("unknown=x", ["2", "1", "0"]),
        ("username=' OR 1=1 --", []),
    ],
)  # fmt: skip
def test_filters(api: Call, log: None, q: str, found: list[str]) -> None:
    shown = ok(api("GET", "/auditlog-exts", user="owner") if not q else _get(api, q)).json()
    assert [entry["resource"].rpartition(":")[2] for entry in shown] == found


def _get(api: Call, q: str) -> Any:
    from urllib.parse import quote

    return api("GET", f"/auditlog-exts?q={quote(q, safe='')}", user="owner")


def test_refused_queries(api: Call, log: None) -> None:
    assert_error(_get(api, "op_time=[yesterday~]"), 400, "BAD_REQUEST")
    assert_error(api("GET", "/auditlog-exts?page_size=101", user="root"), 422, "UNPROCESSABLE_ENTITY")


def test_sort_pages_and_statements(
    api: Call, projects: dict[str, int], log: None, django_assert_num_queries: Any
) -> None:
    assert lines(api, "/auditlog-exts?sort=op_time&page_size=2", "owner") == ["private/app:0", "private/app:1"]
    response = ok(api("GET", "/auditlog-exts?page=2&page_size=1", user="owner"))
    assert response["X-Total-Count"] == "3"
    assert 'rel="next"' in response["Link"]
    with django_assert_num_queries(5):  # the account, the roles that may, the projects, the page, the total
        lines(api, "/auditlog-exts?page_size=100", "owner")
    for number in range(40):
        line(100 + number, projects["private"])
    with django_assert_num_queries(5):
        assert len(lines(api, "/auditlog-exts?page_size=100", "owner")) == 43


def test_event_types(api: Call, users: dict[str, int]) -> None:
    body = ok(api("GET", "/auditlog-exts/events", user="root")).json()
    assert [event["event_type"] for event in body] == list(EVENT_TYPES)
    assert_error(api("GET", "/auditlog-exts/events", user="owner"), 403, "FORBIDDEN")
    assert_error(api("GET", "/auditlog-exts/events"), 401, "UNAUTHORIZED")


# ---------------------------------------------------------------- what the API leaves


def told(api: Call) -> list[tuple[str, str, str, str, bool]]:
    return [(one.username, one.operation, one.resource_type, one.resource, one.is_success) for one in audit_log()]


def test_writes_and_their_results(api: Call, users: dict[str, int]) -> None:
    ok(api("POST", "/projects", {"project_name": "p"}, user="owner"), 201)
    assert api("POST", "/projects", {"project_name": "p"}, user="stranger").status_code == 409
    assert api("DELETE", "/projects/p", user="stranger").status_code == 403
    assert api("DELETE", "/projects/p").status_code == 401
    ok(api("GET", "/projects/p", user="owner"))
    ok(api("DELETE", "/projects/p", user="owner"))
    assert told(api) == [
        ("owner", "create", "project", "p", True), ("stranger", "create", "project", "p", False),
        ("stranger", "delete", "project", "/projects/p", False), ("owner", "delete", "project", "p", True),
    ]  # fmt: skip
    first = AuditLog.objects.earliest("id")
    assert (first.address, first.description) == ("127.0.0.1", "create project: p")
    assert AuditLog.objects.get(operation="delete", is_success=False).description.endswith("(status 403)")


def test_nothing_of_a_body_but_a_name(api: Call, users: dict[str, int]) -> None:
    body = {"name": "n", "description": "canary-4711", "scope": "g", "password": "canary-4711"}
    ok(api("POST", "/labels", body, user="root"), 201)
    assert [one.resource for one in audit_log()] == ["n"]
    assert not any("canary" in str(vars(one)) for one in audit_log())


def test_projects_are_told_apart(api: Call, projects: dict[str, int]) -> None:
    ok(api("PUT", "/projects/private", {"metadata": {"auto_scan": "true"}}, user="owner"))
    ok(api("PUT", f"/projects/{projects['private']}", {"metadata": {"auto_scan": "false"}}, user="owner"))
    assert {one.project_id for one in audit_log()} == {projects["private"]}
    owner = Actor("user", 0, "owner", is_sysadmin=True)
    delete_project(project_id=projects["private"], deleted_by=owner)
    assert lines(api, "/auditlog-exts", "owner") == []  # of a deleted project only administrators read
    assert len(lines(api, "/auditlog-exts", "root")) == 2


def test_failed_logins(api: Call, users: dict[str, int]) -> None:
    assert api("GET", "/audit-logs", user="owner", password="canary-4711").status_code == 401
    assert api("GET", "/audit-logs", user="canary-4712", password="x").status_code == 401
    assert told(api) == [("owner", "login", "user", "owner", False), ("", "login", "user", "(unknown)", False)]
    assert {one.address for one in audit_log()} == {"127.0.0.1"}
    assert not any("canary" in str(vars(one)) for one in audit_log())


def test_kinds_that_are_switched_off(api: Call, users: dict[str, int]) -> None:
    update({"disabled_audit_log_event_types": "create_project"})
    ok(api("POST", "/projects", {"project_name": "p"}, user="owner"), 201)
    ok(api("DELETE", "/projects/p", user="owner"))
    assert [one.operation for one in audit_log()] == ["delete"]


def test_bodies_nobody_can_read(api: Call, client: Any, users: dict[str, int]) -> None:
    """The answer is the same as ever, and the attempt is written down."""
    import base64

    pair = base64.b64encode(b"owner:Correct1horse").decode()
    for content_type, status in (("application/json", 422), ("text/plain", 415)):
        response = client.post(
            "/api/v2.0/projects", data="{broken", content_type=content_type, headers={"Authorization": f"Basic {pair}"}
        )
        assert response.status_code == status
    assert told(api) == [("owner", "create", "project", "/projects", False)] * 2
