"""Addresses of Harbor's portal, in bookmarks and chat logs: they lead to the same thing here."""

import re
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse

from haven_core.projects.selectors import enter_project
from haven_core.rbac.permissions import Action, Resource, require
from haven_portal.page import Page
from haven_registry.oci.reference import is_repository_name

_TABS = {
    "members": "project-members",
    "labels": "project-labels",
    "robot-account": "project-robots",
    "logs": "project-activity",
    "configs": "project-settings",
    "tag-strategy": "project-immutability",
}


_REPOSITORY = re.compile(r"repositories/([^/]+)(?:/artifacts-tab/artifacts/(sha256:[0-9a-f]{64}))?(?:/.*)?")


def _artifact(rest: str) -> tuple[str, ...] | None:
    """Route and arguments of a repository's page, or of an artifact's; slashes in names are encoded twice (Harbor)."""
    found = _REPOSITORY.fullmatch(rest)
    name = unquote(unquote(found[1])) if found else ""
    if found is None or not is_repository_name(f"p/{name}"):
        return None
    return ("artifact", name, found[2]) if found[2] else ("repository", name)


class HarborProject(Page):
    """GET /harbor/projects/{id}/…."""

    def get(self, _request: HttpRequest, project_id: int, rest: str = "") -> HttpResponseBase:
        project = enter_project(self.actor, project_id)
        require(self.actor, project, Resource.PROJECT, Action.READ)
        assert project is not None  # require refuses None
        if (place := _artifact(rest)) is not None:
            return HttpResponseRedirect(reverse(f"portal:{place[0]}", args=[project.name, *place[1:]]))
        route = _TABS.get(rest.partition("/")[0], "project")
        return HttpResponseRedirect(reverse(f"portal:{route}", args=[project.name]))


class HarborPage(Page):
    """GET /account/sign-in and /harbor/projects: to the page named in the URL's definition."""

    route = "home"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return HttpResponseRedirect(reverse(f"portal:{self.route}"))
