"""Starts, stops and looks at jobs in a site's database: lines of JSON [call, arguments] in, {"value": …} out."""

import json
import sys
from typing import Any

import django

django.setup()

from haven_core.jobs import leases, schedules, selectors, services, ticking  # noqa: E402
from haven_core.jobs.models import Execution, Task  # noqa: E402
from tests.integration.jobs.programs import kinds_app  # noqa: E402

kinds_app.register()


def start(kind: str, parameters: dict[str, Any]) -> int:
    return services.start_execution(kind, parameters, started_by="test")


def look(execution: int) -> dict[str, Any]:
    task = Task.objects.get(execution_id=execution)
    seconds = (
        (task.ended_at - task.stop_requested_at).total_seconds() if task.ended_at and task.stop_requested_at else None
    )
    log = [line["message"] for _, lines in selectors.read_log([task.id]) for line in lines]
    return {
        "status": Execution.objects.get(id=execution).status, "attempt": task.attempt, "worker": task.worker, "log": log,
        "span": [moment and moment.timestamp() for moment in (task.started_at, task.ended_at)],
        "result": task.result, "stop_seconds": seconds, "done": [phase["done"] for phase in task.phases],
    }  # fmt: skip


def every_second(parameters: dict[str, Any], kind: str = "COUNT") -> int:
    return schedules.set_schedule(kind, word="Custom", cron="* * * * * *", parameters=parameters)


def fires() -> list[str]:
    fired = Execution.objects.filter(kind="COUNT").exclude(fire_at=None)
    return [str(fire) for fire in fired.order_by("id").values_list("fire_at", flat=True)]


CALLS: dict[str, Any] = {
    "start": start,
    "look": look,
    "every_second": every_second,
    "fires": fires,
    "unschedule": lambda kind="COUNT": schedules.remove_schedule(kind),
    "stop": services.stop_execution,
    "workers": lambda: [worker.name for worker in selectors.list_workers()],
    "pids": lambda: [worker.pid for worker in selectors.list_workers()],
    "bounds": lambda: [leases.LEASE.total_seconds(), ticking.TICK_SECONDS],
}

for line in sys.stdin:
    name, arguments = json.loads(line)
    print(json.dumps({"value": CALLS[name](**arguments)}, default=str), flush=True)
