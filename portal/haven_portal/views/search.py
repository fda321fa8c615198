"""Finding projects and repositories by a part of their name; a pasted image reference leads to its repository."""

from django.http import HttpRequest, HttpResponseBase

from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.projects.selectors import ProjectView, list_projects
from haven_portal.page import Page, registry_host
from haven_registry.search import FoundByName, search_repositories

MAX_FOUND = 50  # of each kind
_MAX_TEXT = 255


class Search(Page):
    """GET /search?q=."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        typed = request.GET.get("q", "").replace("\0", "").strip()[:_MAX_TEXT]
        text = _name_in(typed, registry_host(request))
        projects: list[ProjectView] = []
        repositories: list[FoundByName] = []
        if text:
            conditions = (Condition("name", Match.CONTAINS, (text,)),)
            projects, _ = list_projects(self.actor, ListQuery(conditions, limit=MAX_FOUND))
            repositories = search_repositories(self.actor, text, limit=MAX_FOUND)
        return self.render(
            "search/search.html", search_text=typed, projects=projects, repositories=repositories, most=MAX_FOUND
        )


def _name_in(text: str, host: str) -> str:
    """The repository's name in `host/project/name:tag`, `…@sha256:…`; a text that is none as it is."""
    name = text.removeprefix("docker pull ").removeprefix(f"{host}/").partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]
