"""/repositories and /projects/{project}/repositories."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.serializers import Text
from haven_api.views.base import ApiView, timestamp
from haven_api.views.projects import requested_project
from haven_core.domain.actor import Actor
from haven_core.projects.selectors import ProjectView
from haven_core.rbac.access import projects_allowing
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry.repository_list import (
    RepositoryPlace,
    RepositoryView,
    find_repository,
    list_repositories,
    locate_repository,
)
from haven_registry.services.repositories import delete_repository, describe_repository


class RepositoryBody(serializers.Serializer[Any]):
    """Repository. Only the description is people's to change."""

    description = Text(required=False, default="", allow_null=True)


class AllRepositories(ApiView):
    """Of every project."""

    @LIST
    def get(self, request: Request) -> Response:
        """List those of the projects the caller may see."""
        query = requested_list(request)
        views, total = list_repositories(
            projects_allowing(self.actor, Permission(Resource.REPOSITORY, Action.LIST)).values("id"), query
        )
        return list_response(request, query, [render_repository(view) for view in views], total)


class Repositories(ApiView):
    """Of a project."""

    @LIST
    def get(self, request: Request, project_name: str) -> Response:
        """List."""
        project = requested_project(self.actor, request, project_name, Resource.REPOSITORY, Action.LIST)
        query = requested_list(request)
        views, total = list_repositories([project.project_id], query)
        return list_response(request, query, [render_repository(view) for view in views], total)


class OneRepository(ApiView):
    """A repository by name."""

    def get(self, request: Request, project_name: str, repository_name: str) -> Response:
        """Read."""
        project = requested_project(self.actor, request, project_name, Resource.REPOSITORY, Action.READ)
        return Response(render_repository(find_repository(project.project_id, repository_name)))

    @extend_schema(request=RepositoryBody)
    def put(self, request: Request, project_name: str, repository_name: str) -> Response:
        """Set its description; nothing else can be (Harbor)."""
        _, place = requested_repository(
            self.actor, request, project_name, repository_name, Resource.REPOSITORY, Action.UPDATE
        )
        body = RepositoryBody(data=request.data)
        body.is_valid(raise_exception=True)
        describe_repository(place.id, body.validated_data["description"] or "", self.origin)
        return Response(status=200)

    def delete(self, request: Request, project_name: str, repository_name: str) -> Response:
        """Move it to the trash, with everything in it."""
        _, place = requested_repository(
            self.actor, request, project_name, repository_name, Resource.REPOSITORY, Action.DELETE
        )
        delete_repository(place.id, self.origin)
        return Response(status=200)


def requested_repository(
    actor: Actor, request: Request, project_name: str, repository_name: str, resource: Resource, action: Action
) -> tuple[ProjectView, RepositoryPlace]:
    """The project and repository of a path, where the actor may do `action`. Raises what permissions.require does, and
    RepositoryUnknown."""
    project = requested_project(actor, request, project_name, resource, action)
    return project, locate_repository(project.project_id, repository_name)


def render_repository(view: RepositoryView) -> dict[str, Any]:
    """A repository as Harbor's API shows it."""
    return {
        "id": view.id,
        "project_id": view.project_id,
        "name": view.full_name,
        "description": view.description,
        "artifact_count": view.artifacts,
        "pull_count": view.pulls,
        "creation_time": timestamp(view.created_at),
        "update_time": timestamp(view.updated_at),
    }
