"""What a project holds, who shares it, and how much it is used: a page, and cards above the list of repositories."""

from django.http import HttpRequest, HttpResponseBase

from haven_core.domain.conditions import ListQuery
from haven_core.rbac.permissions import Action, Resource
from haven_portal.kinds import kind_of
from haven_portal.views.project import ProjectPage
from haven_registry.insight import project_usage
from haven_registry.project_summary import summarise_project
from haven_registry.repository_summary import RepositorySummary, summarise_repositories
from haven_registry.trash import list_trash

_ROWS = 8


class Insights(ProjectPage):
    """GET /projects/{project}/insights; for htmx the cards alone."""

    tab = "project-insights"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        project_id = self.project.project_id
        cards = {
            "summary": summarise_project(project_id),
            "trashed": list_trash(project_id, offset=0, limit=1)[1] if self._may_restore else None,
        }
        if self.is_fragment:
            return self.render("project/insight_cards.html", **cards)
        return self.render(
            "project/insights.html",
            shared=project_usage(self.actor, project_id),
            largest=self._first("-size"),
            most_pulled=[each for each in self._first("-pulls") if sum(each[0].pulls)],
            **cards,
        )

    @property
    def _may_restore(self) -> bool:
        return self.may(Resource.ARTIFACT, Action.DELETE)

    def _first(self, order: str) -> list[tuple[RepositorySummary, object]]:
        rows, _total = summarise_repositories(self.project.project_id, ListQuery(order=(order,), limit=_ROWS))
        return [(row, kind_of(row.type)) for row in rows]
