"""/projects."""

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import listing
from haven_api.query import boolean_header, boolean_parameter, text_parameters
from haven_api.serializers import ProjectBody
from haven_api.views.base import ApiView, timestamp
from haven_api.views.cve_allowlist import render_allowlist, save_allowlist
from haven_core.accounts.selectors import first_sysadmin_id
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import Condition, Match
from haven_core.domain.project_metadata import PUBLIC, RETENTION, checked
from haven_core.domain.roles import Role, strongest
from haven_core.errors import BadRequest, Forbidden
from haven_core.projects import selectors, services
from haven_core.projects.creation import limit_of_new_project, may_create_project
from haven_core.projects.metadata import shown, update_metadata
from haven_core.projects.selectors import ProjectView
from haven_core.rbac.permissions import Action, Resource, evaluate, require

_ID = re.compile(r"[0-9]{1,18}")


class Projects(ApiView):
    """The collection."""

    @listing("name", "owner", "public")
    def get(self, request: Request) -> Response:
        """List what the caller may see."""
        query = requested_list(request, *_parameters(request))
        views, total = selectors.list_projects(self.actor, query)
        return list_response(request, query, [render_project(view, self.actor) for view in views], total)

    def head(self, request: Request) -> Response:
        """Whether a name is taken."""
        self.require_login()
        name = request.query_params.get("project_name")
        if name is None:
            raise ValidationError({"project_name": "is required"})
        return Response(status=200 if selectors.project_exists(name) else 404)

    @extend_schema(request=ProjectBody)
    def post(self, request: Request) -> Response:
        """Create."""
        actor = self.require_login()
        body = ProjectBody(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        if sent.get("registry_id") is not None:
            raise Forbidden if not actor.is_sysadmin else BadRequest("proxy cache projects are not supported")
        if not may_create_project(actor):
            raise Forbidden("Only system admin can create project")
        metadata = checked(sent_metadata(sent))
        if metadata.get(RETENTION):
            raise BadRequest(f"no retention policy {metadata[RETENTION]}")
        is_public = metadata.pop(PUBLIC, "false") == "true"
        project_id = services.create_project(
            name=sent["project_name"],
            owner_id=first_sysadmin_id() if actor.is_robot else actor.user_id,
            is_public=is_public,
            metadata=metadata,
            hard_bytes=limit_of_new_project(actor, sent.get("storage_limit")),
            created_by=actor.name,
        )
        by_name = boolean_header(request, "X-Resource-Name-In-Location")
        location = f"/api/v2.0/projects/{sent['project_name'] if by_name else project_id}"
        return Response(status=201, headers={"Location": location})


class OneProject(ApiView):
    """A project, by name or id."""

    def get(self, request: Request, name_or_id: str) -> Response:
        """Read."""
        return Response(render_project(described_project(self.actor, request, name_or_id), self.actor))

    @extend_schema(request=ProjectBody(partial=True))
    def put(self, request: Request, name_or_id: str) -> Response:
        """Set the metadata and the CVE allowlist that are sent. Name, limit and registry stay as they are (Harbor)."""
        project = requested_project(self.actor, request, name_or_id, Resource.PROJECT, Action.UPDATE)
        body = ProjectBody(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        self.audited_as = project.name
        update_metadata(project_id=project.project_id, changes=sent_metadata(sent))
        if sent.get("cve_allowlist") is not None:
            save_allowlist(project.project_id, sent["cve_allowlist"])
        return Response(status=200)

    def delete(self, request: Request, name_or_id: str) -> Response:
        """Delete, when it is empty."""
        project = requested_project(self.actor, request, name_or_id, Resource.PROJECT, Action.DELETE)
        self.audited_as = project.name
        services.delete_project(project_id=project.project_id, deleted_by=self.actor)
        return Response(status=200)


def requested_project(
    actor: Actor,
    request: Request,
    name_or_id: str,
    resource: Resource = Resource.PROJECT,
    action: Action = Action.READ,
) -> ProjectView:
    """The project a path names, where the actor may do `action` on `resource`; what lies in it is not counted. Raises
    what permissions.require does."""
    view = selectors.enter_project(actor, _name_or_id(request, name_or_id))
    require(actor, view, resource, action)
    assert view is not None  # require refuses None
    return view


def described_project(actor: Actor, request: Request, name_or_id: str, action: Action = Action.READ) -> ProjectView:
    """The same, for an action on the project itself, with its allowlist and the number of its repositories."""
    view = selectors.find_project(actor, _name_or_id(request, name_or_id))
    require(actor, view, Resource.PROJECT, action)
    assert view is not None  # require refuses None
    return view


def _name_or_id(request: Request, text: str) -> str | int:
    by_name = boolean_header(request, "X-Is-Resource-Name") or not _ID.fullmatch(text)
    return text if by_name else int(text)


def render_project(view: ProjectView, actor: Actor) -> dict[str, Any]:
    """A project as Harbor's API shows it to `actor`."""
    roles = [int(Role.PROJECT_ADMIN)] if actor.is_sysadmin else list(view.roles)
    created, updated = timestamp(view.created_at), timestamp(view.updated_at)
    return {
        "project_id": view.project_id,
        "name": view.name,
        "owner_id": view.owner_id,
        "owner_name": view.owner_name,
        "creation_time": created,
        "update_time": updated,
        "deleted": False,
        "togglable": evaluate(actor, Resource.PROJECT, Action.UPDATE, view),
        "current_user_role_id": strongest(roles),
        "current_user_role_ids": roles,
        "repo_count": view.repository_count,
        "metadata": shown(view.metadata, is_public=view.is_public),
        "cve_allowlist": render_allowlist(view.allowlist, project_id=view.project_id),
    }


def _parameters(request: Request) -> tuple[Condition, ...]:
    """Harbor's parameters that are older than `q`."""
    boolean_parameter(request, "public")
    return text_parameters(request, name=Match.CONTAINS, owner=Match.EXACT, public=Match.EXACT)


def sent_metadata(sent: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a validated ProjectBody; the old top-level `public` counts where the map has none."""
    metadata = {key: value for key, value in (sent.get("metadata") or {}).items() if value is not None}
    if sent.get("public") is not None:
        metadata.setdefault(PUBLIC, "true" if sent["public"] else "false")
    return metadata
