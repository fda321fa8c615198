"""/statistics, /search."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.openapi import asked
from haven_api.views.base import ApiView
from haven_api.views.projects import render_project
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.projects.selectors import list_projects
from haven_core.projects.statistics import statistics_for
from haven_registry.search import search_repositories

MAX_FOUND = 500  # of each kind, where Harbor would answer everything


class Statistics(ApiView):
    """GET /statistics: how much there is, as far as the caller may see it."""

    def get(self, _request: Request) -> Response:
        """Count. Totals are for system administrators; others get 0 (Harbor)."""
        found = statistics_for(self.require_login())
        return Response(
            {
                "private_project_count": found.private_projects,
                "private_repo_count": found.private_repositories,
                "public_project_count": found.public_projects,
                "public_repo_count": found.public_repositories,
                "total_project_count": found.total_projects,
                "total_repo_count": found.total_repositories,
                "total_storage_consumption": found.stored_bytes,
            }
        )


class Search(ApiView):
    """GET /search?q=: projects and repositories whose names contain a text, for anybody, as far as they may see them."""

    @asked(required="q")
    def get(self, request: Request) -> Response:
        """Find. Names in their order, MAX_FOUND of each kind at most."""
        text = request.query_params.get("q")
        if text is None:
            raise ValidationError({"q": "is required"})
        if "\0" in text or len(text) > 255:
            return Response({"project": [], "repository": []})
        conditions = (Condition("name", Match.CONTAINS, (text,)),) if text else ()
        projects, _ = list_projects(self.actor, ListQuery(conditions, limit=MAX_FOUND))
        repositories: list[dict[str, Any]] = [
            {
                "project_id": found.project_id,
                "project_name": found.project_name,
                "project_public": found.is_public,
                "repository_name": found.full_name,
                "pull_count": found.pulls,
                "artifact_count": found.artifacts,
            }
            for found in search_repositories(self.actor, text, limit=MAX_FOUND)
        ]
        return Response(
            {"project": [render_project(view, self.actor) for view in projects], "repository": repositories}
        )
