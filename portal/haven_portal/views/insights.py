"""What a project holds, who shares it, and how much it is used: a page, and cards above the list of repositories."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase

from haven_core.rbac.permissions import Action, Resource
from haven_portal.views.project import ProjectPage
from haven_registry.insight import project_usage
from haven_registry.project_summary import first_repositories, summarise_project
from haven_registry.trash import count_trash

_ROWS = 10


class Insights(ProjectPage):
    """GET /projects/{project}/insights; for htmx the cards alone."""

    tab = "project-insights"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        project_id = self.project.project_id
        may_restore = self.may(Resource.ARTIFACT, Action.DELETE)
        cards: dict[str, Any] = {
            "summary": summarise_project(project_id),
            "trashed": count_trash(project_id) if may_restore else None,
        }
        if self.is_fragment:
            return self.render("project/insight_cards.html", **cards)
        largest, most_pulled = first_repositories(project_id, limit=_ROWS)
        return self.render(
            "project/insights.html",
            shared=project_usage(self.actor, project_id),
            largest=largest,
            biggest=largest[0][1] if largest else 0,
            most_pulled=most_pulled,
            **cards,
        )
