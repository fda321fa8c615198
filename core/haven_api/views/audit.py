"""/audit-logs, /auditlog-exts, and those of a project."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.views.base import ApiView, timestamp
from haven_api.views.projects import requested_project
from haven_core.audit import selectors
from haven_core.audit.selectors import AuditEntry
from haven_core.configuration.keys import EVENT_TYPES
from haven_core.domain.conditions import Condition, Match
from haven_core.rbac.permissions import Action, Resource, require_system


class AuditLogs(ApiView):
    """What the caller may read of the log: everything, or what concerns the projects they administer."""

    shows_extension = False

    @LIST
    def get(self, request: Request) -> Response:
        """List, the newest first."""
        self.require_login()
        return self._answer(request, None)

    def _answer(self, request: Request, project_id: int | None) -> Response:
        # the older form of the log knows no results: in it everything has worked
        extra = () if self.shows_extension else (Condition("operation_result", Match.EXACT, ("true",)),)
        query = requested_list(request, *extra)
        entries, total = selectors.list_entries(self.actor, query, project_id=project_id)
        return list_response(request, query, [self._render(entry) for entry in entries], total)

    def _render(self, entry: AuditEntry) -> dict[str, Any]:
        shown = {
            "id": entry.id,
            "username": entry.username,
            "resource": entry.resource,
            "resource_type": entry.resource_type,
            "operation": entry.operation,
            "op_time": timestamp(entry.op_time),
        }
        if self.shows_extension:
            shown |= {
                "operation_description": entry.description,
                "operation_result": entry.is_success,
                "client_address": entry.address,
            }
        return shown


class AuditLogExtensions(AuditLogs):
    """The same with results and descriptions."""

    shows_extension = True


class ProjectLogs(AuditLogs):
    """What concerns one project, for its administrators. The path names it; never an id."""

    @LIST
    def get(self, request: Request, project_name: str) -> Response:  # type: ignore[override]  # a path more
        """List, the newest first."""
        project = requested_project(self.actor, request, project_name, Resource.LOG, Action.LIST)
        return self._answer(request, project.project_id)


class ProjectLogExtensions(ProjectLogs):
    """The same with results and descriptions."""

    shows_extension = True


class AuditEventTypes(ApiView):
    """GET /auditlog-exts/events: what can be switched off."""

    def get(self, _request: Request) -> Response:
        """List."""
        require_system(self.actor, Resource.AUDIT_LOG, Action.LIST)
        return Response([{"event_type": name} for name in EVENT_TYPES])
