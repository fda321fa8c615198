"""/haven/jobs: how far every background job is, what it says, and doing it again. Haven's own extension: Harbor shows
neither progress nor the jobs of all kinds together."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST, NO_BODY
from haven_api.views.base import timestamp
from haven_api.views.jobservice import MonitorView
from haven_core.errors import BadRequest, Conflict
from haven_core.jobs import selectors, services
from haven_core.jobs.models import Execution, Task
from haven_core.jobs.selectors import Progress
from haven_core.rbac.permissions import Action

_LAST_PLACE = 2**63 - 1


class Jobs(MonitorView):
    """Jobs of all kinds. Haven's own extension."""

    @LIST
    def get(self, request: Request) -> Response:
        """List, the newest first; `q` knows kind, status, trigger, started_by and the times."""
        self.require(Action.LIST)
        query = requested_list(request)
        executions, total = selectors.list_all_executions(query)
        return list_response(request, query, [_render(execution) for execution in executions], total)


class OneJob(MonitorView):
    """A job with its tasks. Haven's own extension."""

    def get(self, _request: Request, execution_id: int) -> Response:
        """Read: each phase of each task with what is done, how fast it goes and how long it takes still."""
        self.require(Action.LIST)
        execution = selectors.find_any_execution(execution_id)
        tasks, number = selectors.list_tasks(execution.pk)
        return Response({**_render(execution), "task_count": number, "tasks": [_render_task(task) for task in tasks]})


class TaskLog(MonitorView):
    """The log of a job's task, as data. Haven's own extension."""

    @extend_schema(parameters=[OpenApiParameter("after", int, default=0, description="`next` of the answer before.")])
    def get(self, request: Request, execution_id: int, task_id: int) -> Response:
        """Read what was written after a place, some thousand lines at most; ask again with `next` to follow it."""
        self.require(Action.LIST)
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and int(after[:20]) <= _LAST_PLACE):
            raise BadRequest("after is the `next` of an answer before")
        entries, place = selectors.read_on(execution_id, task_id, after=int(after))
        return Response({"entries": entries, "next": place})


class JobRetry(MonitorView):
    """Doing what failed or was stopped again. Haven's own extension."""

    @NO_BODY
    def post(self, _request: Request, execution_id: int) -> Response:
        """Put those tasks of the job in the queue that failed or were stopped; what went well is not done again."""
        self.require(Action.STOP)
        if not services.retry_execution(selectors.find_any_execution(execution_id).pk):
            raise Conflict("nothing of this job failed or was stopped")
        return Response(status=200)


def _render(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.pk,
        "kind": execution.kind,
        "subject_id": execution.subject_id,
        "status": execution.status,
        "trigger": execution.trigger,
        "started_by": execution.started_by,
        "result": execution.result,
        "creation_time": timestamp(execution.created_at),
        "end_time": _time(execution.ended_at),
    }


def _render_task(task: Task) -> dict[str, Any]:
    return {
        "id": task.pk,
        "status": task.status,
        "attempt": task.attempt,
        "worker": task.worker,
        "error": task.error,
        "log_lines": task.log_lines,
        "run_after": timestamp(task.run_after),
        "start_time": _time(task.started_at),
        "end_time": _time(task.ended_at),
        "is_stopping": task.stop_requested_at is not None and task.ended_at is None,
        "phases": [_render_phase(phase) for phase in selectors.progress_of(task)],
    }


def _render_phase(phase: Progress) -> dict[str, Any]:
    """rate: things a second; byte_rate: bytes a second; remaining_seconds: null while nobody can know."""
    return {
        "name": phase.name,
        "done": phase.done,
        "total": phase.total,
        "bytes": phase.bytes,
        "rate": round(phase.rate, 3),
        "byte_rate": round(phase.byte_rate, 3),
        "remaining_seconds": None if phase.remaining_seconds is None else round(phase.remaining_seconds, 1),
        "is_over": phase.is_over,
    }


def _time(moment: datetime | None) -> str | None:
    return timestamp(moment) if moment else None
