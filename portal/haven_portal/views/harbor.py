"""Addresses of Harbor's portal, in bookmarks and chat logs: they lead to the same thing here."""

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from haven_core.projects.selectors import find_project
from haven_core.rbac.permissions import Action, Resource, require
from haven_portal.page import Page

_TABS = {
    "members": "project-members",
    "labels": "project-labels",
    "robot-account": "project-robots",
    "logs": "project-activity",
    "configs": "project-settings",
    "tag-strategy": "project-immutability",
}


class HarborProject(Page):
    """GET /harbor/projects/{id}/…."""

    def get(self, _request: HttpRequest, project_id: int, rest: str = "") -> HttpResponseBase:
        project = find_project(self.actor, project_id)
        require(self.actor, project, Resource.PROJECT, Action.READ)
        assert project is not None  # require refuses None
        route = _TABS.get(rest.partition("/")[0], "project")
        return HttpResponseRedirect(reverse(f"portal:{route}", args=[project.name]))


class HarborPage(Page):
    """GET /account/sign-in and /harbor/projects: to the page named in the URL's definition."""

    route = "home"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return HttpResponseRedirect(reverse(f"portal:{self.route}"))
