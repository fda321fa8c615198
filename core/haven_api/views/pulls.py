"""Pulls day by day. Haven's own extension: Harbor has a total and a last time only."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.artifacts import NEVER, ArtifactsView
from haven_api.views.base import timestamp
from haven_core.rbac.permissions import Action, Resource
from haven_registry.pull_series import PullSeries, Series, read_pulls
from haven_registry.services.pull_days import DAYS_KEPT

DEFAULT_DAYS = 30
DAYS = extend_schema(
    parameters=[OpenApiParameter("days", {"type": "integer", "minimum": 1, "maximum": DAYS_KEPT}, default=DEFAULT_DAYS)]
)


class RepositoryPulls(ArtifactsView):
    """Pulls of a repository, day by day and by tag. Haven's own extension."""

    @DAYS
    def get(self, request: Request, project_name: str, repository_name: str) -> Response:
        """The `days` that end today (UTC), as lists of numbers, the oldest first; the hundred most pulled tags."""
        _, repository = self._repository(request, (project_name, repository_name), Resource.REPOSITORY, Action.READ)
        days = _requested_days(request)
        return Response(render_pulls(read_pulls(repository.id, days=days, today=timezone.now().date())))


class ArtifactPulls(ArtifactsView):
    """Pulls of an artifact, day by day and by tag. Haven's own extension."""

    @DAYS
    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """As of a repository."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.ARTIFACT, Action.READ)
        days, today = _requested_days(request), timezone.now().date()
        return Response(render_pulls(read_pulls(repository.id, days=days, today=today, digest=row.digest)))


def render_pulls(found: PullSeries) -> dict[str, Any]:
    """first_day and last_day bound every `daily`; pull_count is since the beginning, `total` of these days."""
    return {
        "first_day": found.first.isoformat(),
        "last_day": found.last.isoformat(),
        "pull_count": found.ever,
        **_render(found.all),
        "by_digest": _render(found.by_digest),
        "tags": [{"name": each.name, **_render(each)} for each in found.tags],
    }


def _render(series: Series) -> dict[str, Any]:
    last = timestamp(series.pulled_at) if series.pulled_at else NEVER
    return {"total": series.total, "daily": series.daily, "pull_time": last}


def _requested_days(request: Request) -> int:
    text = request.query_params.get("days", str(DEFAULT_DAYS))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= DAYS_KEPT):
        raise ValidationError({"days": f"should be a number from 1 to {DAYS_KEPT}"})
    return int(text)
