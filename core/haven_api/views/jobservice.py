"""/jobservice and /schedules: workers, queues and what runs, from the database."""

from collections.abc import Callable
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST, NO_BODY
from haven_api.views.base import ApiView, timestamp
from haven_api.views.job_runs import log_response
from haven_core.errors import NotFound
from haven_core.jobs import selectors, services
from haven_core.jobs.kinds import kind_names
from haven_core.jobs.models import Pause, Task, Worker
from haven_core.rbac.permissions import Action, Resource, require_system

ALL = "all"


class ActionBody(serializers.Serializer[Any]):
    """ActionRequest."""

    action = serializers.ChoiceField(choices=("stop", "pause", "resume"))


class MonitorView(ApiView):
    """For who may look after jobs."""

    passes_read_only = True

    def require(self, action: Action) -> None:
        """Raises Unauthorized, Forbidden."""
        require_system(self.actor, Resource.JOBSERVICE_MONITOR, action)


class Pools(MonitorView):
    """Worker pools: each is a Celery worker."""

    def get(self, _request: Request) -> Response:
        """List those that are alive."""
        self.require(Action.LIST)
        pools = [
            {
                "pid": worker.pid,
                "worker_pool_id": worker.name,
                "start_at": timestamp(worker.started_at),
                "heartbeat_at": timestamp(worker.heartbeat_at),
                "concurrency": worker.concurrency,
                "host": worker.host,
            }
            for worker in selectors.list_workers()
        ]
        return Response(pools)


class PoolWorkers(MonitorView):
    """The workers of a pool, or of all: a place for one task each."""

    def get(self, _request: Request, pool_id: str) -> Response:
        """List; a place without a task has no job."""
        self.require(Action.LIST)
        pools = selectors.list_workers(None if pool_id == ALL else pool_id)
        if not pools and pool_id != ALL:
            raise NotFound(f"worker pool {pool_id[:100]} not found")
        tasks = selectors.running_tasks([pool.name for pool in pools])
        return Response([row for pool in pools for row in _places(pool, tasks)])


class Jobs(MonitorView):
    """One running job, or all."""

    @NO_BODY
    def put(self, _request: Request, job_id: str) -> Response:
        """Stop."""
        self.require(Action.STOP)
        for task_id in selectors.list_active(None if job_id == ALL else _task_id(job_id)):
            services.stop_task(task_id)
        return Response(status=200)


class JobLog(MonitorView):
    """The log of a job."""

    def get(self, _request: Request, job_id: str) -> StreamingHttpResponse:
        """Read, as far as it is written."""
        self.require(Action.LIST)
        return log_response([selectors.find_task(_task_id(job_id)).id])


class Queues(MonitorView):
    """What waits, kind by kind."""

    def get(self, _request: Request) -> Response:
        """List."""
        self.require(Action.LIST)
        rows = [
            {
                "job_type": queue.kind,
                "count": queue.count,
                "latency": queue.latency_seconds,
                "paused": queue.is_paused,
            }
            for queue in selectors.list_queues()
        ]
        return Response(rows)


class OneQueue(MonitorView):
    """The queue of a kind, of all, or SCHEDULER."""

    @extend_schema(request=ActionBody)
    def put(self, request: Request, job_type: str) -> Response:
        """Stop what waits, pause or resume. Pausing SCHEDULER stops all schedules."""
        self.require(Action.STOP)
        body = ActionBody(data=request.data)
        body.is_valid(raise_exception=True)
        kinds = kind_names() if job_type == ALL else [known_type(job_type)]
        acts: dict[str, Callable[[str], object]] = {
            "stop": services.stop_waiting,
            "pause": services.pause,
            "resume": services.resume,
        }
        for kind in kinds:
            acts[body.validated_data["action"]](kind)
        return Response(status=200)


class Schedules(MonitorView):
    """Everything that runs by the clock."""

    @LIST
    def get(self, request: Request) -> Response:
        """List."""
        self.require(Action.LIST)
        query = requested_list(request)
        assert query.limit is not None
        schedules, total = selectors.list_schedules(offset=query.offset, limit=query.limit)
        rows = [
            {
                "id": schedule.id,
                "vendor_type": schedule.kind,
                "vendor_id": schedule.subject_id,
                "cron": schedule.cron,
                "update_time": timestamp(schedule.updated_at),
            }
            for schedule in schedules
        ]
        return list_response(request, query, rows, total)


class SchedulePaused(ApiView):
    """Whether schedules fire."""

    def get(self, _request: Request, job_type: str) -> Response:
        """Read: of `all`, or whether the jobs of one kind wait."""
        self.require_login()
        name = Pause.SCHEDULER if job_type == ALL else known_type(job_type)
        return Response({"paused": selectors.is_paused(Pause.SCHEDULER) or selectors.is_paused(name)})


def known_type(job_type: str) -> str:
    """Raises NotFound."""
    name = job_type.upper()
    if name not in (*kind_names(), Pause.SCHEDULER):
        raise NotFound(f"there are no jobs of type {job_type[:64]}")
    return name


def _task_id(job_id: str) -> int:
    if not (job_id.isascii() and job_id.isdigit() and len(job_id) < 19):
        raise NotFound(f"job {job_id[:64]} not found")
    return int(job_id)


def _places(pool: Worker, tasks: list[Task]) -> list[dict[str, Any]]:
    busy = [task for task in tasks if task.worker == pool.name]
    rows: list[dict[str, Any]] = []
    for task in busy:
        phase = task.phases[-1] if task.phases else None
        total = "" if phase is None or phase["total"] is None else f"/{phase['total']}"
        rows.append(
            {
                "id": f"{pool.name}:{task.id}",
                "pool_id": pool.name,
                "job_name": task.kind,
                "job_id": str(task.id),
                "start_at": timestamp(task.started_at) if task.started_at else None,
                "check_in": f"{phase['name']}: {phase['done']}{total}" if phase else "",
                "checkin_at": timestamp(task.heartbeat_at) if task.heartbeat_at else None,
            }
        )
    free = range(len(busy), pool.concurrency)
    return rows + [
        {"id": f"{pool.name}:idle-{number}", "pool_id": pool.name, "job_name": "", "job_id": ""} for number in free
    ]
