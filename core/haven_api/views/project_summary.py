"""/projects/{project}/summary and /_deletable."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView
from haven_api.views.projects import described_project
from haven_api.views.quotas import STORAGE
from haven_core.domain.roles import Role
from haven_core.errors import ProjectInUse
from haven_core.members.selectors import member_counts
from haven_core.quotas.selectors import quota_of
from haven_core.quotas.services import UNLIMITED
from haven_core.rbac.permissions import Action, Resource, evaluate

_COUNTS = {
    Role.PROJECT_ADMIN: "project_admin_count",
    Role.MAINTAINER: "maintainer_count",
    Role.DEVELOPER: "developer_count",
    Role.GUEST: "guest_count",
    Role.LIMITED_GUEST: "limited_guest_count",
}


class ProjectSummary(ApiView):
    """GET: numbers, each for who may read what it counts."""

    def get(self, request: Request, name_or_id: str) -> Response:
        """Read."""
        project = described_project(self.actor, request, name_or_id)
        summary: dict[str, Any] = {"repo_count": project.repository_count}
        if evaluate(self.actor, Resource.MEMBER, Action.LIST, project):
            counts = member_counts(project.project_id)
            summary |= {name: counts.get(role, 0) for role, name in _COUNTS.items()}
        if evaluate(self.actor, Resource.QUOTA, Action.READ, project):
            hard, used = quota_of(project.project_id)
            limit = UNLIMITED if hard is None else hard
            summary["quota"] = {"hard": {STORAGE: limit}, "used": {STORAGE: used}}
        return Response(summary)


class ProjectDeletable(ApiView):
    """GET: whether DELETE would succeed now."""

    def get(self, request: Request, name_or_id: str) -> Response:
        """Read."""
        project = described_project(self.actor, request, name_or_id, Action.DELETE)
        is_empty = project.repository_count == 0
        return Response({"deletable": is_empty, "message": "" if is_empty else ProjectInUse.message})
