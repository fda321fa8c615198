"""The list of projects, and making one."""

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext

from haven_core.domain.conditions import Condition, Match
from haven_core.errors import Conflict, Forbidden
from haven_core.projects.creation import limit_of_new_project, may_create_project
from haven_core.projects.selectors import list_projects
from haven_core.projects.services import create_project
from haven_core.quotas.selectors import usage_of
from haven_portal.forms import ProjectForm, QuotaForm
from haven_portal.lists import ListState
from haven_portal.page import Page

_ACCESS = {"public": "true", "private": "false"}


class Projects(Page):
    """GET /projects/: what the caller may see."""

    section = "projects"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show(ProjectForm(), QuotaForm())

    def show(
        self, form: ProjectForm, quota: QuotaForm, *, is_open: bool = False, status: int = 200
    ) -> HttpResponseBase:
        """The list, with the dialog for a new project."""
        state = ListState.of(
            self.request, sorts=("name", "creation_time", "update_time"), default="name", filters=("q", "access")
        )
        if state.filters.get("access") not in (None, *_ACCESS):
            del state.filters["access"]
        conditions = state.contains("q", "name")
        if "access" in state.filters:
            conditions = (*conditions, Condition("public", Match.EXACT, (_ACCESS[state.filters["access"]],)))
        projects, state.total = list_projects(self.actor, state.query(*conditions))
        # how much a project holds is for those who may read its quota
        usage = usage_of(self.actor, projects)
        return self.render(
            "projects/rows.html" if self.is_fragment else "projects/list.html",
            list=state,
            rows=[(project, usage.get(project.project_id)) for project in projects],
            may_create=may_create_project(self.actor),
            form=form,
            quota=quota,
            is_open=is_open,
            status=status,
        )


class NewProject(Projects):
    """POST /projects/-/new."""

    needs_login = True

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not may_create_project(self.actor):
            raise Forbidden
        form, quota = ProjectForm(request.POST), QuotaForm(request.POST if self.actor.is_sysadmin else {"unit": "GiB"})
        if not (form.is_valid() and quota.is_valid()):
            return self.show(form, quota, is_open=True, status=422)
        name = form.cleaned_data["name"]
        try:
            with self.audited("POST", "/projects", name):
                create_project(
                    name=name,
                    owner_id=self.actor.user_id,
                    is_public=form.cleaned_data["is_public"],
                    hard_bytes=limit_of_new_project(self.actor, quota.limit_bytes),
                    created_by=self.actor.name,
                )
        except Conflict:
            form.add_error("name", gettext("There already is a project of this name."))
            return self.show(form, quota, is_open=True, status=422)
        message = gettext("The project %(name)s is ready.") % {"name": name}
        return self.done(message, reverse("portal:project", args=[name]))
