"""The audit log: of everything the caller may read, and of one project."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from haven_core.audit.selectors import list_entries
from haven_core.domain.conditions import Condition, Match
from haven_core.rbac.permissions import Action, Resource
from haven_portal.lists import ListState
from haven_portal.page import Page
from haven_portal.views.project import ProjectPage

OPERATIONS = {
    "create": _("Create"),
    "update": _("Update"),
    "delete": _("Delete"),
    "pull": _("Pull"),
    "restore": _("Restore"),
    "login": _("Sign-in"),
    "logout": _("Sign-out"),
}
_FILTERS = ("user", "resource", "operation", "result", "since", "until")


class Activity(Page):
    """GET /activity."""

    needs_login = True
    section = "activity"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("activity/log.html", **entries_for(self))


class ProjectActivity(ProjectPage):
    """GET /projects/{project}/activity."""

    needs_login = True
    tab = "project-activity"
    needs = (Resource.LOG, Action.LIST)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("project/activity.html", **entries_for(self, self.project.project_id))


def entries_for(page: Page, project_id: int | None = None) -> dict[str, Any]:
    """The asked page of the log, for the template."""
    state = ListState.of(page.request, sorts=("op_time",), default="-op_time", filters=_FILTERS)
    conditions = [
        *state.contains("user", "username"),
        *state.contains("resource", "resource"),
        *state.equals("operation", "operation"),
    ]
    if state.filters.get("result") in ("ok", "failed"):
        is_ok = "true" if state.filters["result"] == "ok" else "false"
        conditions.append(Condition("operation_result", Match.EXACT, (is_ok,)))
    for key, match, clock in (("since", Match.AT_LEAST, "00:00:00"), ("until", Match.AT_MOST, "23:59:59.999999")):
        if key in state.filters:
            conditions.append(Condition("op_time", match, (f"{state.filters[key]}T{clock}",)))
    entries, state.total = list_entries(page.actor, state.query(*conditions), project_id=project_id)
    rows = [(entry, OPERATIONS.get(entry.operation, entry.operation)) for entry in entries]
    return {"list": state, "rows": rows, "operations": OPERATIONS}
