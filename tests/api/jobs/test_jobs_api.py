"""/haven/jobs: progress, logs that grow, and retries."""

from collections.abc import Callable
from typing import Any

import pytest

from haven_core.jobs import kinds, services
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.leases import Claim, claim
from haven_core.jobs.models import Execution, Task
from haven_core.jobs.run import Run
from tests.api.settings.support import Call, assert_error, ok
from tests.integration.model.conftest import Clock, clock

__all__ = ["Clock", "clock"]

pytestmark = pytest.mark.django_db(transaction=True)
WorkOff = Callable[[], int]


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A kind FLAKY whose tasks fail while `fails` says so."""
    state: dict[str, Any] = {"fails": True, "done": 0}

    def work(run: Run) -> dict[str, int]:
        if state["fails"] and run.parameters.get("number") != 0:
            raise ValueError("the other side is away")
        state["done"] += 1
        return {"done": 1}

    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    register_kind(Kind("FLAKY", work, attempts=1))
    return state


def begun() -> Run:
    """A collection that a worker has begun."""
    services.start_execution("GARBAGE_COLLECTION", {}, started_by="root")
    held = claim(Task.objects.get().id, "haven@one")
    assert isinstance(held, Claim)
    return Run(held)


def test_progress_of_a_running_job(api: Call, users: dict[str, int], clock: Clock) -> None:
    run = begun()
    run.phase("look", total=10)
    run.advance(10, size=70)
    run.phase("sweep", total=400)
    run.advance(100, size=5000)
    clock.advance(seconds=50)
    run.flush()
    found = ok(api("GET", f"/haven/jobs/{run.execution_id}", user="root")).json()
    expected = {"kind": "GARBAGE_COLLECTION", "status": "Running", "trigger": "MANUAL", "started_by": "root"}
    assert {name: found[name] for name in expected} == expected
    assert (found["task_count"], found["end_time"]) == (1, None)
    [task] = found["tasks"]
    assert (task["worker"], task["attempt"], task["status"], task["is_stopping"]) == ("haven@one", 1, "Running", False)
    look, sweep = task["phases"]
    assert (look["name"], look["done"], look["is_over"], look["remaining_seconds"]) == ("look", 10, True, 0)
    assert (sweep["name"], sweep["done"], sweep["total"], sweep["bytes"]) == ("sweep", 100, 400, 5000)
    assert sweep["rate"] == pytest.approx(2, rel=0.1)
    assert sweep["byte_rate"] == pytest.approx(100, rel=0.1)
    assert sweep["remaining_seconds"] == pytest.approx(150, rel=0.1)
    services.stop_execution(run.execution_id)
    [task] = api("GET", f"/haven/jobs/{run.execution_id}", user="root").json()["tasks"]
    assert task["is_stopping"] is True


def test_a_log_is_followed(api: Call, users: dict[str, int]) -> None:
    run = begun()
    path = f"/haven/jobs/{run.execution_id}/tasks/{run.task_id}/log"
    assert ok(api("GET", path, user="root")).json() == {"entries": [], "next": 0}
    run.info("first", project=7)
    run.flush()
    seen = api("GET", path, user="root").json()
    [entry] = seen["entries"]
    assert (entry["message"], entry["level"], entry["project"]) == ("first", "INFO", 7)
    run.warning("second")
    run.flush()
    more = api("GET", f"{path}?after={seen['next']}", user="root").json()
    assert [entry["message"] for entry in more["entries"]] == ["second"]
    end = api("GET", f"{path}?after={more['next']}", user="root").json()
    assert end == {"entries": [], "next": more["next"]}
    for after in ("x", "-1", "9" * 30, "1.5"):
        assert_error(api("GET", f"{path}?after={after}", user="root"), 400, "BAD_REQUEST")
    other = f"/haven/jobs/{run.execution_id + 1}/tasks/{run.task_id}/log"
    assert_error(api("GET", other, user="root"), 404, "NOT_FOUND")


def test_a_retry_does_what_failed_again(
    api: Call, users: dict[str, int], flaky: dict[str, Any], work_off: WorkOff
) -> None:
    job = services.start_execution("FLAKY", tasks=[{"number": number} for number in range(3)])
    work_off()
    path = f"/haven/jobs/{job}"
    found = api("GET", path, user="root").json()
    assert (found["status"], [task["status"] for task in found["tasks"]]) == ("Error", ["Success", "Error", "Error"])
    assert found["tasks"][1]["error"] == "the other side is away"
    flaky["fails"] = False
    ok(api("POST", f"{path}/retry", {}, user="root"))
    assert api("GET", path, user="root").json()["status"] == "Running"
    assert work_off() == 2
    found = api("GET", path, user="root").json()
    assert (found["status"], found["result"], flaky["done"]) == ("Success", {"done": 3}, 3)
    assert_error(api("POST", f"{path}/retry", {}, user="root"), 409, "CONFLICT")
    assert_error(api("POST", "/haven/jobs/999999/retry", {}, user="root"), 404, "NOT_FOUND")
    assert (work_off(), flaky["done"]) == (0, 3)


def test_a_retry_takes_no_place_of_an_exclusive_kind(api: Call, users: dict[str, int]) -> None:
    stopped = services.start_execution("GARBAGE_COLLECTION", {})
    services.stop_execution(stopped)
    services.start_execution("GARBAGE_COLLECTION", {})
    assert_error(api("POST", f"/haven/jobs/{stopped}/retry", {}, user="root"), 409, "CONFLICT", "in progress")
    assert Execution.objects.get(id=stopped).status == "Stopped"


def test_the_list_of_all_kinds(
    api: Call, users: dict[str, int], flaky: dict[str, Any], work_off: WorkOff, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        services.start_execution("FLAKY", tasks=[{"number": number}], started_by=f"user{number}")
    services.start_execution("SCRUB", {"bytes_per_second": 1})
    work_off()
    api("GET", "/haven/jobs", user="root")
    with django_assert_num_queries(3):  # the account, the total, the page
        page = ok(api("GET", "/haven/jobs?page_size=2", user="root"))
    assert (page["X-Total-Count"], [row["kind"] for row in page.json()]) == ("4", ["SCRUB", "FLAKY"])
    failed = api("GET", "/haven/jobs?q=kind=FLAKY,status=Error", user="root").json()
    assert [row["started_by"] for row in failed] == ["user2", "user1"]


def test_who_may(api: Call, users: dict[str, int]) -> None:
    run = begun()
    for method, path in (
        ("GET", "/haven/jobs"), ("GET", f"/haven/jobs/{run.execution_id}"), ("POST", f"/haven/jobs/{run.execution_id}/retry"),
        ("GET", f"/haven/jobs/{run.execution_id}/tasks/{run.task_id}/log"),
    ):  # fmt: skip
        body = {} if method == "POST" else None
        assert_error(api(method, path, body), 401, "UNAUTHORIZED")
        assert_error(api(method, path, body, user="owner"), 403, "FORBIDDEN")
    assert Task.objects.get().status == "Running"
