"""/jobservice and /schedules."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from haven_core.jobs import schedules, selectors, services
from haven_core.jobs.leases import claim
from haven_core.jobs.models import Execution, Pause, Schedule, Task, Worker
from tests.api.settings.support import Call, assert_error, ok

pytestmark = pytest.mark.django_db(transaction=True)

GC, PURGE = "GARBAGE_COLLECTION", "PURGE_AUDIT_LOG"


@pytest.fixture
def running(users: dict[str, int]) -> Task:
    """A worker of two places, one of them busy with a GC."""
    now = timezone.now()
    Worker.objects.create(name="haven@one", host="one", pid=7, concurrency=2, started_at=now, heartbeat_at=now)
    services.start_execution(GC, {})
    claim(Task.objects.get().id, "haven@one")
    return Task.objects.get()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/jobservice/pools", None), ("GET", "/jobservice/pools/all/workers", None),
        ("PUT", "/jobservice/jobs/all", None), ("GET", "/jobservice/jobs/1/log", None), ("GET", "/jobservice/queues", None),
        ("PUT", "/jobservice/queues/all", {"action": "pause"}), ("GET", "/schedules", None),
    ],
)  # fmt: skip
def test_only_for_administrators(api: Call, running: Task, method: str, path: str, body: Any) -> None:
    assert_error(api(method, path, body), 401, "UNAUTHORIZED")
    assert_error(api(method, path, body, user="owner"), 403, "FORBIDDEN")
    assert (Pause.objects.count(), Task.objects.get().stop_requested_at) == (0, None)


def test_pools_and_workers(api: Call, running: Task) -> None:
    [pool] = ok(api("GET", "/jobservice/pools", user="root")).json()
    assert (pool["worker_pool_id"], pool["pid"], pool["concurrency"], pool["host"]) == ("haven@one", 7, 2, "one")
    for name in ("all", "haven@one"):
        busy, idle = ok(api("GET", f"/jobservice/pools/{name}/workers", user="root")).json()
        assert (busy["job_name"], busy["job_id"], busy["pool_id"]) == (GC, str(running.id), "haven@one")
        assert (idle["job_name"], idle["job_id"]) == ("", "")
    assert_error(api("GET", "/jobservice/pools/other/workers", user="root"), 404, "NOT_FOUND")


def test_stop_one_and_all(api: Call, running: Task) -> None:
    services.start_execution(PURGE, {})
    waiting = Execution.objects.get(kind=PURGE)
    for job_id in ("999999", "x", "1" * 30):
        assert_error(api("PUT", f"/jobservice/jobs/{job_id}", user="root"), 404, "NOT_FOUND")
    assert Task.objects.filter(stop_requested_at__isnull=False).count() == 0
    ok(api("PUT", f"/jobservice/jobs/{running.id}", user="root"))
    assert Task.objects.get(id=running.id).stop_requested_at is not None
    waiting.refresh_from_db()
    assert waiting.status == "Pending"
    ok(api("PUT", "/jobservice/jobs/all", user="root"))
    waiting.refresh_from_db()
    assert waiting.status == "Stopped"


def test_logs(api: Call, users: dict[str, int], work_off: Callable[[], int]) -> None:
    services.start_execution(GC, {})
    work_off()
    log = ok(api("GET", f"/jobservice/jobs/{Task.objects.get().id}/log", user="root"))
    assert b"[INFO]: started" in b"".join(log.streaming_content)
    assert_error(api("GET", "/jobservice/jobs/999999/log", user="root"), 404, "NOT_FOUND")


def test_queues(api: Call, users: dict[str, int], work_off: Callable[[], int]) -> None:
    def queues() -> dict[str, tuple[int, bool]]:
        rows = ok(api("GET", "/jobservice/queues", user="root")).json()
        return {row["job_type"]: (row["count"], row["paused"]) for row in rows}

    services.start_execution(GC, {})
    assert queues()[GC] == (1, False)
    ok(api("PUT", f"/jobservice/queues/{GC}", {"action": "pause"}, user="root"))
    assert (queues()[GC], work_off()) == ((1, True), 0)
    ok(api("PUT", "/jobservice/queues/all", {"action": "resume"}, user="root"))
    assert (queues()[GC], work_off()) == ((1, False), 1)
    services.start_execution(GC, {})
    ok(api("PUT", "/jobservice/queues/all", {"action": "stop"}, user="root"))
    assert (queues()[GC], work_off()) == ((0, False), 0)
    assert_error(api("PUT", "/jobservice/queues/NONE", {"action": "stop"}, user="root"), 404, "NOT_FOUND")
    for body in ({"action": "explode"}, {}, [], None):
        answer = api("PUT", f"/jobservice/queues/{GC}", body, user="root")
        assert_error(answer, 422, "UNPROCESSABLE_ENTITY")
    assert Pause.objects.count() == 0


def test_schedules(api: Call, users: dict[str, int], django_assert_num_queries: Any) -> None:
    schedules.set_schedule(GC, word="Daily")
    schedules.set_schedule(PURGE, word="Custom", cron="0 0 1 * * *", subject_id=9)
    api("GET", "/schedules", user="root")
    with django_assert_num_queries(3):  # the account, the page, the total
        response = ok(api("GET", "/schedules", user="root"))
    assert response["X-Total-Count"] == "2"
    assert [(row["vendor_type"], row["vendor_id"], row["cron"]) for row in response.json()] == [
        (GC, 0, "0 0 0 * * *"), (PURGE, 9, "0 0 1 * * *")
    ]  # fmt: skip
    assert len(api("GET", "/schedules?page=2&page_size=1", user="root").json()) == 1
    assert_error(api("GET", "/schedules/all/paused"), 401, "UNAUTHORIZED")
    assert api("GET", "/schedules/all/paused", user="owner").json() == {"paused": False}
    ok(api("PUT", "/jobservice/queues/SCHEDULER", {"action": "pause"}, user="root"))
    assert api("GET", f"/schedules/{GC}/paused", user="owner").json() == {"paused": True}
    assert_error(api("GET", "/schedules/NONE/paused", user="owner"), 404, "NOT_FOUND")
    assert (Schedule.objects.count(), selectors.is_paused("SCHEDULER")) == (2, True)
