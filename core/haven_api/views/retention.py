"""/retentions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.openapi import paged
from haven_api.paging import page_headers, requested_page
from haven_api.rule_bodies import ExecutionBody, OperationBody, PolicyBody, parse, render_selector
from haven_api.views.base import ApiView, timestamp
from haven_core.domain.retention import TEMPLATES, Decision
from haven_core.domain.selectors import DOUBLESTAR, REPOSITORY_DECORATIONS, TAG_DECORATIONS
from haven_core.errors import BadRequest, Forbidden, NotFound
from haven_core.projects import selectors
from haven_core.rbac.permissions import Action, Resource, require
from haven_core.retention import policies
from haven_core.retention.models import RetentionPolicy
from haven_core.retention.policies import PolicyView
from haven_gc.retention import executions, history
from haven_gc.retention.history import ExecutionView, TaskView
from haven_gc.retention.preview import preview

_STATUS_CODES = {"Pending": 0, "Scheduled": 1, "Running": 2, "Stopped": 3, "Error": 3, "Success": 3}
_NOT_YET = "0001-01-01T00:00:00Z"  # Go's zero time, which Harbor shows and its clients know


class RetentionMetadata(ApiView):
    """What rules can be made of."""

    def get(self, _request: Request) -> Response:
        """The templates and selectors, in Harbor's words."""
        self.require_login()
        return Response(
            {
                "templates": [
                    {
                        "rule_template": name,
                        "display_text": template.text,
                        "action": "retain",
                        "params": [{"type": "int", "unit": template.unit, "required": True}] if template.unit else [],
                    }
                    for name, template in TEMPLATES.items()
                    if template.is_shown
                ],
                "scope_selectors": [
                    {"display_text": "Repositories", "kind": DOUBLESTAR, "decorations": list(REPOSITORY_DECORATIONS)}
                ],
                "tag_selectors": [{"display_text": "Tags", "kind": DOUBLESTAR, "decorations": list(TAG_DECORATIONS)}],
            }
        )


class _View(ApiView):
    def policy_of(self, policy_id: int, action: Action) -> PolicyView:
        """A policy the caller may use. Missing and hidden look alike: 403; 404 for who sees everything."""
        actor = self.require_login()
        policy = policies.find_policy(policy_id)
        project = None if policy is None else selectors.enter_project(actor, policy.project_id)
        if policy is None or project is None:
            raise NotFound(f"no such retention policy with id {policy_id}") if actor.sees_everything else Forbidden
        require(actor, project, Resource.TAG_RETENTION, action)
        self.audited_in = policy.project_id
        return policy

    def requested_policy(self, data: Any, action: Action) -> dict[str, Any]:
        """What a body says of a policy, for a project whose retention the caller may change."""
        actor = self.require_login()
        sent = parse(PolicyBody, data)
        if sent["scope"]["level"] != "project":
            raise BadRequest(f"scope {sent['scope']['level'][:64]} is not support")
        project_id: int = sent["scope"]["ref"]
        project = selectors.enter_project(actor, project_id)
        if project is None:
            raise BadRequest(f"invalid Project id {project_id}") if actor.is_sysadmin else Forbidden
        require(actor, project, Resource.TAG_RETENTION, action)
        self.audited_in = project_id
        if sent["algorithm"] != "or":
            raise BadRequest('the algorithm is "or"')
        trigger = sent.get("trigger") or {}
        cron = (trigger.get("settings") or {}).get("cron", "")
        if not isinstance(cron, str):
            raise BadRequest("cron is a text")
        return {
            "project_id": project_id,
            "rules": sent.get("rules") or [],
            "trigger_kind": trigger.get("kind", ""),
            "cron": cron,
            "mode": sent["mode"],
        }


class Retentions(_View):
    """The collection."""

    @extend_schema(request=PolicyBody)
    def post(self, request: Request) -> Response:
        """Create a project's policy."""
        policy_id = policies.create_policy(by=self.actor.name, **self.requested_policy(request.data, Action.CREATE))
        return Response(status=201, headers={"Location": f"{request.path.rstrip('/')}/{policy_id}"})


class OneRetention(_View):
    """A policy."""

    def get(self, _request: Request, policy_id: int) -> Response:
        """Read."""
        return Response(_render_policy(self.policy_of(policy_id, Action.READ)))

    @extend_schema(request=PolicyBody)
    def put(self, request: Request, policy_id: int) -> Response:
        """Replace."""
        self.policy_of(policy_id, Action.UPDATE)
        policies.update_policy(
            policy_id=policy_id, by=self.actor.name, **self.requested_policy(request.data, Action.UPDATE)
        )
        return Response(status=200)

    def delete(self, _request: Request, policy_id: int) -> Response:
        """Delete, with the history of its runs."""
        policies.delete_policy(self.policy_of(policy_id, Action.DELETE).id, by=self.actor.name)
        return Response(status=200)


class RetentionExecutions(_View):
    """A policy's runs."""

    @paged()
    def get(self, request: Request, policy_id: int) -> Response:
        """List, newest first."""
        page = requested_page(request)
        found, total = history.list_executions(
            self.policy_of(policy_id, Action.LIST).id, offset=page.offset, limit=page.size
        )
        return Response([_render_execution(one) for one in found], headers=page_headers(request, page, total))

    @extend_schema(request=ExecutionBody)
    def post(self, request: Request, policy_id: int) -> Response:
        """Run now, or see what a run would do."""
        policy = self.policy_of(policy_id, Action.UPDATE)
        sent = parse(ExecutionBody, request.data)
        execution_id = executions.start_retention(policy.id, dry_run=sent["dry_run"], by=self.actor.name)
        return Response(status=201, headers={"Location": f"{request.path.rstrip('/')}/{execution_id}"})


class OneRetentionExecution(_View):
    """A run."""

    @extend_schema(request=OperationBody)
    def patch(self, request: Request, policy_id: int, execution_id: int) -> Response:
        """Stop."""
        policy = self.policy_of(policy_id, Action.UPDATE)
        if parse(OperationBody, request.data)["action"] != "stop":
            raise BadRequest("action should be 'stop'")
        executions.stop_execution(policy.id, execution_id)
        return Response(status=200)


class RetentionTasks(_View):
    """A run's repositories."""

    @paged()
    def get(self, request: Request, policy_id: int, execution_id: int) -> Response:
        """List."""
        policy, page = self.policy_of(policy_id, Action.LIST), requested_page(request)
        found, total = history.list_tasks(policy.id, execution_id, offset=page.offset, limit=page.size)
        if not total and not history.has_execution(policy.id, execution_id):
            raise NotFound("retention execution not found")
        return Response([_render_task(one) for one in found], headers=page_headers(request, page, total))


class RetentionTaskLog(_View):
    """What a run did in a repository."""

    def get(self, _request: Request, policy_id: int, execution_id: int, task_id: int) -> HttpResponse:
        """The log, also while the run goes on."""
        log = history.read_log(self.policy_of(policy_id, Action.READ).id, execution_id, task_id)
        if log is None:
            raise NotFound("retention task not found")
        return HttpResponse(log, content_type="text/plain; charset=utf-8")


class RetentionPreview(_View):
    """What rules that are not saved would do. Haven's own extension."""

    changes_nothing = True

    @extend_schema(request=PolicyBody)
    def post(self, request: Request) -> Response:
        """Name what would go, and why."""
        sent = self.requested_policy(request.data, Action.READ)
        if sent["mode"] not in (RetentionPolicy.ARTIFACT, RetentionPolicy.TAG):
            raise BadRequest('mode is "artifact" or "tag"')
        found = preview(sent["project_id"], sent["rules"], sent["mode"])
        return Response(
            {
                "repositories": [
                    {
                        "name": one.name,
                        "total": one.total,
                        "retained": one.retained,
                        "changes": [_render_decision(decision) for decision in one.changes],
                    }
                    for one in found.repositories
                ],
                "total": sum(one.total for one in found.repositories),
                "retained": sum(one.retained for one in found.repositories),
                "is_complete": found.is_complete,
            }
        )


def _render_policy(policy: PolicyView) -> dict[str, Any]:
    is_by_tag = policy.mode == RetentionPolicy.TAG
    return {
        "id": policy.id,
        "algorithm": "or",
        "rules": [_render_rule(rule) for rule in policy.rules],
        "trigger": {"kind": policy.trigger_kind, "settings": {"cron": policy.cron}},
        "scope": {"level": "project", "ref": policy.project_id},
        **({"mode": policy.mode} if is_by_tag else {}),  # Harbor's clients see what they know
    }


def _render_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    scopes = {name: [render_selector(one) for one in found] for name, found in rule["scope_selectors"].items()}
    return {**rule, "tag_selectors": [render_selector(one) for one in rule["tag_selectors"]], "scope_selectors": scopes}


def _render_execution(one: ExecutionView) -> dict[str, Any]:
    return {
        "id": one.id,
        "policy_id": one.policy_id,
        "start_time": _time(one.started_at),
        "end_time": _time(one.ended_at),
        "status": one.status,
        "trigger": one.trigger,
        "dry_run": one.is_dry_run,
    }


def _render_task(one: TaskView) -> dict[str, Any]:
    return {
        "id": one.id,
        "execution_id": one.execution_id,
        "repository": one.repository,
        "job_id": one.job_id,
        "status": one.status,
        "status_code": _STATUS_CODES[one.status],
        "status_revision": int(one.started_at.timestamp()),
        "start_time": _time(one.started_at),
        "end_time": _time(one.ended_at),
        "total": one.total,
        "retained": one.retained,
    }


def _render_decision(decision: Decision) -> dict[str, Any]:
    one = decision.candidate
    return {
        "digest": one.digest,
        "tags": list(one.tags),
        "action": decision.action.value,
        "reason": decision.reason,
        "push_time": timestamp(one.pushed_at),
        "pull_time": timestamp(one.pulled_at) if one.pulled_at else None,
    }


def _time(moment: datetime | None) -> str:
    """RFC 3339 in whole seconds, as Harbor writes these."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else _NOT_YET
