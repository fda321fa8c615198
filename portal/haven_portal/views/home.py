"""The first page: for people their projects and how much there is, for strangers what this is and how to use it."""

from django.http import HttpRequest, HttpResponseBase

from haven_core.domain.conditions import ListQuery
from haven_core.projects.creation import may_create_project
from haven_core.projects.selectors import list_projects
from haven_core.projects.statistics import statistics_for
from haven_portal.page import Page

_ROWS = 8


class Home(Page):
    """GET /."""

    section = "home"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        projects, total = list_projects(self.actor, ListQuery(order=("-update_time",), limit=_ROWS))
        if self.actor.is_anonymous:
            return self.render("home/welcome.html", projects=projects, total=total)
        return self.render(
            "home/home.html",
            projects=projects,
            total=total,
            statistics=statistics_for(self.actor),
            may_create=may_create_project(self.actor),
        )
