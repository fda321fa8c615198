"""/system/gc: history, one run, log, schedule; and who may."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from haven_core.jobs import services
from haven_core.jobs.models import Execution, Schedule, Task
from tests.api.settings.support import Call, assert_error, ok

pytestmark = pytest.mark.django_db(transaction=True)

WorkOff = Callable[[], int]
OPERATIONS = [
    ("GET", ""), ("GET", "/1"), ("PUT", "/1"), ("GET", "/1/log"), ("GET", "/schedule"), ("POST", "/schedule"),
    ("PUT", "/schedule"),
]  # fmt: skip


def manual(**parameters: Any) -> dict[str, Any]:
    return {"schedule": {"type": "Manual", "cron": ""}, "parameters": parameters}


@pytest.mark.parametrize("kind", ["gc", "purgeaudit"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_only_for_administrators(api: Call, users: dict[str, int], kind: str, method: str, path: str) -> None:
    body = manual(audit_retention_hour=1, include_operations="create") if method == "POST" else None
    assert_error(api(method, f"/system/{kind}{path}", body), 401, "UNAUTHORIZED")
    assert_error(api(method, f"/system/{kind}{path}", body, user="owner"), 403, "FORBIDDEN")
    assert (Execution.objects.count(), Schedule.objects.count()) == (0, 0)


def test_run_now(api: Call, users: dict[str, int], work_off: WorkOff) -> None:
    started = ok(api("POST", "/system/gc/schedule", manual(delete_untagged=True, workers=3), user="root"), 201)
    path = started["Location"].removeprefix("/api/v2.0")
    execution_id = int(path.rpartition("/")[2])
    assert path == f"/system/gc/{execution_id}"
    body = ok(api("GET", path, user="root")).json()
    assert (body["job_name"], body["job_kind"], body["job_status"]) == ("GARBAGE_COLLECTION", "MANUAL", "Pending")
    assert (body["schedule"], body["deleted"]) == ({"type": "Manual", "cron": ""}, False)
    assert_error(api("POST", "/system/gc/schedule", manual(), user="root"), 409, "CONFLICT", "in progress")
    assert Execution.objects.count() == 1
    work_off()
    [listed] = ok(api("GET", "/system/gc", user="root")).json()
    assert (listed["id"], listed["job_status"]) == (execution_id, "Success")
    assert json.loads(listed["job_parameters"]) == {
        "delete_untagged": True, "dry_run": False, "delete_tag": False, "workers": 3, "purged_manifests": 0,
        "purged_blobs": 0, "freed_space": 0, "trashed_untagged": 0, "expired_uploads": 0, "deleted_keys": 0,
    }  # fmt: skip
    log = ok(api("GET", f"{path}/log", user="root"))
    assert log["Content-Type"] == "text/plain; charset=utf-8"
    text = b"".join(log.streaming_content).decode()  # type: ignore[attr-defined]
    assert "[INFO]: started worker=haven@test attempt=1\n" in text
    assert "[INFO]: done purged_manifests=0" in text
    assert Execution.objects.get().started_by == "root"


def test_stop(api: Call, users: dict[str, int], work_off: WorkOff) -> None:
    path = api("POST", "/system/gc/schedule", manual(), user="root")["Location"].removeprefix("/api/v2.0")
    ok(api("PUT", path, user="root"))
    assert api("GET", path, user="root").json()["job_status"] == "Stopped"
    assert work_off() == 0
    ok(api("PUT", path, user="root"))


def test_what_is_not_there(api: Call, users: dict[str, int]) -> None:
    services.start_execution("PURGE_AUDIT_LOG")
    other = Execution.objects.get().id
    for path in (f"/system/gc/{other}", f"/system/gc/{other}/log", "/system/gc/999999", "/system/gc/" + "9" * 30):
        assert_error(api("GET", path, user="root"), 404, "NOT_FOUND")
    assert_error(api("PUT", f"/system/gc/{other}", user="root"), 404, "NOT_FOUND")
    assert Execution.objects.get().status == "Pending"


def test_schedule(api: Call, users: dict[str, int]) -> None:
    assert ok(api("GET", "/system/gc/schedule", user="root")).json() == {}
    daily = {"schedule": {"type": "Daily", "cron": "0 0 0 * * *"}, "parameters": {"delete_untagged": True}}
    assert ok(api("POST", "/system/gc/schedule", daily, user="root"), 201)["Location"].startswith(
        "/api/v2.0/system/gc/"
    )
    body = ok(api("GET", "/system/gc/schedule", user="root")).json()
    assert (body["schedule"]["type"], body["schedule"]["cron"]) == ("Daily", "0 0 0 * * *")
    assert body["schedule"]["next_scheduled_time"].endswith("T00:00:00.000Z")
    assert json.loads(body["job_parameters"])["delete_untagged"] is True
    ok(api("PUT", "/system/gc/schedule", {"schedule": {"type": "Custom", "cron": "0 30 1 * * 1"}}, user="root"))
    assert Schedule.objects.get().cron == "0 30 1 * * 1"
    for _ in range(2):
        ok(api("PUT", "/system/gc/schedule", {"schedule": {"type": "None"}}, user="root"))
    assert Schedule.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"schedule": {"type": "Custom", "cron": ""}}, 400, "BAD_REQUEST"),
        ({"schedule": {"type": "Custom", "cron": "* * *"}}, 400, "BAD_REQUEST"),
        ({"schedule": {"type": "Daily"}, "parameters": {"workers": 11}}, 400, "BAD_REQUEST"),
        (manual(workers=0), 400, "BAD_REQUEST"), ({"parameters": {}}, 400, "BAD_REQUEST"),
        ({"schedule": {"type": "Yearly"}}, 422, "UNPROCESSABLE_ENTITY"),
        ({"schedule": {"type": "Custom", "cron": 5}}, 422, "UNPROCESSABLE_ENTITY"),
        ({"schedule": "Daily"}, 422, "UNPROCESSABLE_ENTITY"), ([], 422, "UNPROCESSABLE_ENTITY"),
    ],
)  # fmt: skip
def test_schedules_that_are_none(api: Call, users: dict[str, int], body: Any, status: int, code: str) -> None:
    for method in ("POST", "PUT"):
        assert_error(api(method, "/system/gc/schedule", body, user="root"), status, code)
    assert (Execution.objects.count(), Schedule.objects.count()) == (0, 0)


def test_history_pages_filters_and_costs_the_same(
    api: Call, users: dict[str, int], work_off: WorkOff, django_assert_num_queries: Any
) -> None:
    def run(number: int) -> None:
        for _ in range(number):
            services.start_execution("GARBAGE_COLLECTION", {})
            work_off()

    run(2)
    api("GET", "/system/gc", user="root")
    with django_assert_num_queries(3):  # the account, the total, the page
        assert len(api("GET", "/system/gc", user="root").json()) == 2
    run(10)
    with django_assert_num_queries(3):
        page = api("GET", "/system/gc?page=2&page_size=5", user="root")
    assert (page["X-Total-Count"], len(page.json())) == ("12", 5)
    newest = [row["id"] for row in api("GET", "/system/gc", user="root").json()]
    assert newest == sorted(newest, reverse=True)
    assert api("GET", "/system/gc?q=job_status=Error", user="root").json() == []
    assert api("GET", "/system/gc?sort=id&page_size=1", user="root").json()[0]["id"] < newest[-1]


def test_a_log_can_be_read_while_it_grows(api: Call, users: dict[str, int]) -> None:
    from haven_core.jobs.leases import claim
    from haven_core.jobs.run import Run

    services.start_execution("GARBAGE_COLLECTION", {})
    task = Task.objects.get()
    held = claim(task.id, "w")
    assert held is not None
    run = Run(held)
    run.info("half of it", project=7)
    run.flush()
    path = f"/system/gc/{held.execution_id}"
    assert api("GET", path, user="root").json()["job_status"] == "Running"
    text = b"".join(api("GET", f"{path}/log", user="root").streaming_content)  # type: ignore[attr-defined]
    assert text.endswith(b"[INFO]: half of it project=7\n")
