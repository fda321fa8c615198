"""What Harbor's API has twice, for garbage collection and for the purge of the audit log: history, one run, its log, and
the schedule."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST, NO_BODY
from haven_api.serializers import Text
from haven_api.views.base import ApiView, timestamp
from haven_core.errors import BadRequest
from haven_core.jobs import schedules, selectors, services
from haven_core.jobs.cron import CUSTOM
from haven_core.jobs.errors import ScheduleUnknown
from haven_core.jobs.models import Execution, Schedule, Trigger
from haven_core.rbac.permissions import Action, Resource, require_system

MANUAL, NONE, SCHEDULE = "Manual", "None", "Schedule"
_TYPES = ("Hourly", "Daily", "Weekly", CUSTOM, MANUAL, NONE, SCHEDULE)


class ScheduleObject(serializers.Serializer[Any]):
    """ScheduleObj."""

    type = serializers.ChoiceField(choices=_TYPES)
    cron = Text(required=False, allow_null=True)


class ScheduleBody(serializers.Serializer[Any]):
    """Schedule."""

    schedule = ScheduleObject(required=False, allow_null=True)
    parameters = serializers.DictField(required=False, allow_null=True)


class JobView(ApiView):
    """A view of one kind of job. It may be used in read-only mode: that is for having time to clean up.

    kind: of jobs. resource: what the right is asked for. path: of the collection, below /api/v2.0.
    checked_parameters: what was sent, as it is stored; raises BadRequest.
    """

    passes_read_only = True
    kind: ClassVar[str]
    resource: ClassVar[Resource]
    path: ClassVar[str]
    checked_parameters: "ClassVar[staticmethod[[Mapping[str, Any]], dict[str, Any]]]"

    def require(self, action: Action) -> None:
        """Raises Unauthorized, Forbidden."""
        require_system(self.actor, self.resource, action)


class RunHistory(JobView):
    """The collection."""

    @LIST
    def get(self, request: Request) -> Response:
        """List, the newest first."""
        self.require(Action.LIST)
        query = requested_list(request)
        executions, total = selectors.list_executions(self.kind, query)
        return list_response(request, query, [render_execution(execution) for execution in executions], total)


class OneRun(JobView):
    """One execution."""

    def get(self, _request: Request, execution_id: int) -> Response:
        """Read."""
        self.require(Action.READ)
        return Response(render_execution(selectors.find_execution(self.kind, execution_id)))

    @NO_BODY
    def put(self, _request: Request, execution_id: int) -> Response:
        """Stop; one that is over stays as it is."""
        self.require(Action.STOP)
        services.stop_execution(selectors.find_execution(self.kind, execution_id).id)
        return Response(status=200)


class RunLog(JobView):
    """The log of an execution."""

    def get(self, _request: Request, execution_id: int) -> StreamingHttpResponse:
        """Read, as far as it is written."""
        self.require(Action.READ)
        execution = selectors.find_execution(self.kind, execution_id)
        return log_response(selectors.task_ids(execution.id))


class RunSchedule(JobView):
    """When it runs by itself; and, with the type Manual, running it now."""

    def get(self, _request: Request) -> Response:
        """Read; an empty object when nothing is scheduled."""
        self.require(Action.READ)
        schedule = selectors.find_schedule(self.kind)
        return Response(render_schedule(schedule) if schedule else {})

    @extend_schema(request=ScheduleBody)
    def post(self, request: Request) -> Response:
        """Set the schedule, or run now. Like Harbor it takes the place of a schedule there is."""
        self.require(Action.CREATE)
        execution_id = self._apply(request)
        location = f"/api/v2.0{self.path}/{execution_id}" if execution_id else f"/api/v2.0{self.path}/schedule"
        return Response(status=201, headers={"Location": location})

    @extend_schema(request=ScheduleBody)
    def put(self, request: Request) -> Response:
        """The same."""
        self.require(Action.UPDATE)
        self._apply(request)
        return Response(status=200)

    def _apply(self, request: Request) -> int | None:
        body = ScheduleBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data.get("schedule")
        if not wanted:
            raise BadRequest("the schedule is missing")
        word, sent = wanted["type"], body.validated_data.get("parameters") or {}
        if word == NONE:
            try:
                schedules.remove_schedule(self.kind)
            except ScheduleUnknown:
                return None  # there is none now, which is what was asked for
            return None
        parameters = self.checked_parameters(sent)
        if word == MANUAL:
            return services.start_execution(self.kind, parameters, started_by=self.actor.name)
        schedules.set_schedule(
            self.kind, word=CUSTOM if word == SCHEDULE else word, cron=wanted.get("cron") or "", parameters=parameters,
            created_by=self.actor.name,
        )  # fmt: skip
        return None


def render_execution(execution: Execution) -> dict[str, Any]:
    """GCHistory and ExecHistory. Results stand among the parameters, as in Harbor."""
    return {
        "id": execution.id,
        "job_name": execution.kind,
        "job_kind": execution.trigger,
        "job_parameters": json.dumps({**execution.parameters, **execution.result}),
        "schedule": {"type": SCHEDULE if execution.trigger == Trigger.SCHEDULE else MANUAL, "cron": ""},
        "job_status": execution.status,
        "deleted": False,
        "creation_time": timestamp(execution.created_at),
        "update_time": timestamp(execution.updated_at),
    }


def render_schedule(schedule: Schedule) -> dict[str, Any]:
    """The same shape, for what is to come."""
    return {
        "id": schedule.id,
        "job_name": schedule.kind,
        "job_kind": str(Trigger.SCHEDULE),
        "job_parameters": json.dumps(schedule.parameters),
        "schedule": {
            "type": schedule.word,
            "cron": schedule.cron,
            "next_scheduled_time": timestamp(schedule.next_fire_at),
        },
        "job_status": "",
        "deleted": False,
        "creation_time": timestamp(schedule.created_at),
        "update_time": timestamp(schedule.updated_at),
    }


def log_response(task_ids: list[int]) -> StreamingHttpResponse:
    """The logs of tasks as text, read from the database while they are sent: a dry run's may be long."""

    def lines() -> Iterator[str]:
        for _, entries in selectors.read_log(task_ids):
            yield "".join(map(selectors.as_text, entries))

    return StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")
