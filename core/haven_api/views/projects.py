"""/projects."""

import re
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.paging import page_headers, requested_page
from haven_api.query import boolean_parameter, parse_boolean, parse_query, parse_sort
from haven_api.serializers import ProjectBody
from haven_api.views.base import ApiView, timestamp
from haven_core.accounts.selectors import first_sysadmin_id
from haven_core.domain.actor import Actor
from haven_core.domain.roles import Role, strongest
from haven_core.errors import BadRequest, Forbidden
from haven_core.projects import selectors, services
from haven_core.projects.selectors import ProjectFilter, ProjectView
from haven_core.rbac.permissions import Action, Resource, evaluate, require

_ID = re.compile(r"[0-9]{1,18}")
_BOOLEAN_METADATA = (
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
)
_SEVERITIES = ("none", "low", "medium", "high", "critical")


class Projects(ApiView):
    """The collection."""

    def get(self, request: Request) -> Response:
        """List what the caller may see."""
        page = requested_page(request)
        views, total = selectors.list_projects(
            self.actor,
            _requested_filter(request),
            order=parse_sort(request.query_params.get("sort", ""), selectors.SORTABLE) or ["name"],
            offset=page.offset,
            limit=page.size,
        )
        body = [render_project(view, self.actor) for view in views]
        return Response(body, headers=page_headers(request, page, total))

    def head(self, request: Request) -> Response:
        """Whether a name is taken."""
        self.require_login()
        name = request.query_params.get("project_name")
        if name is None:
            raise ValidationError({"project_name": "is required"})
        return Response(status=200 if selectors.project_exists(name) else 404)

    def post(self, request: Request) -> Response:
        """Create."""
        actor = self.require_login()
        if actor.is_robot and not actor.rights.on_system("project", "create"):
            raise Forbidden
        body = ProjectBody(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        if sent.get("registry_id") is not None:
            raise Forbidden if not actor.is_sysadmin else BadRequest("proxy cache projects are not supported")
        metadata = {key: value for key, value in (sent.get("metadata") or {}).items() if value is not None}
        project_id = services.create_project(
            name=sent["project_name"],
            owner_id=_owner_for(actor),
            is_public=_is_public(metadata, sent.get("public")),
            metadata=_checked_metadata(metadata),
            hard_bytes=_hard_bytes(sent.get("storage_limit")) if actor.is_sysadmin else None,
            created_by=actor.name,
        )
        by_name = _boolean_header(request, "X-Resource-Name-In-Location")
        location = f"/api/v2.0/projects/{sent['project_name'] if by_name else project_id}"
        return Response(status=201, headers={"Location": location})


class OneProject(ApiView):
    """A project, by name or id."""

    def get(self, request: Request, name_or_id: str) -> Response:
        """Read."""
        return Response(render_project(requested_project(self.actor, request, name_or_id), self.actor))

    def delete(self, request: Request, name_or_id: str) -> Response:
        """Delete, when it is empty."""
        project = requested_project(self.actor, request, name_or_id, Resource.PROJECT, Action.DELETE)
        services.delete_project(project_id=project.project_id, deleted_by=self.actor)
        return Response(status=200)


def requested_project(
    actor: Actor,
    request: Request,
    name_or_id: str,
    resource: Resource = Resource.PROJECT,
    action: Action = Action.READ,
) -> ProjectView:
    """The project a path names, where the actor may do `action` on `resource`. Raises what permissions.require does."""
    by_name = _boolean_header(request, "X-Is-Resource-Name") or not _ID.fullmatch(name_or_id)
    view = selectors.find_project(actor, name_or_id if by_name else int(name_or_id))
    require(actor, view, resource, action)
    assert view is not None  # require refuses None
    return view


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
        "metadata": {**view.metadata, "public": "true" if view.is_public else "false"},
        "cve_allowlist": {
            "id": view.project_id,
            "project_id": view.project_id,
            "items": [],
            "creation_time": created,
            "update_time": updated,
        },
    }


def _owner_for(creator: Actor) -> int:
    """Who owns what `creator` makes: itself, or for a robot the first administrator (Harbor)."""
    return first_sysadmin_id() if creator.is_robot else creator.user_id


def _requested_filter(request: Request) -> ProjectFilter:
    query = parse_query(request.query_params.get("q", ""), ("name", "public", "owner"))
    name, owner, public = query.get("name"), query.get("owner"), boolean_parameter(request, "public")
    if public is None and "public" in query:
        public = parse_boolean("public", query["public"].value)
    fuzzy_name = name.value if name and name.is_fuzzy else None
    return ProjectFilter(
        name=name.value if name and not name.is_fuzzy else None,
        contains=request.query_params.get("name") or fuzzy_name,
        is_public=public,
        owner=request.query_params.get("owner") or (owner.value if owner else None),
    )


def _is_public(metadata: Mapping[str, str], public: bool | None) -> bool:
    """metadata.public, else the old top-level field, else private."""
    text = metadata.get("public")
    if text is None:
        return bool(public)
    if text not in ("true", "false"):
        raise BadRequest('metadata.public must be "true" or "false"')
    return text == "true"


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The keys Haven keeps, checked; `public` has its own column, unknown keys are dropped (Harbor)."""
    if metadata.get("retention_id"):
        raise BadRequest(f"no retention policy {metadata['retention_id']}")
    kept = {key: metadata[key] for key in _BOOLEAN_METADATA if key in metadata}
    if wrong := next((key for key, value in kept.items() if value not in ("true", "false")), None):
        raise BadRequest(f'metadata.{wrong} must be "true" or "false"')
    if severity := metadata.get("severity", "").lower():
        if severity not in _SEVERITIES:
            raise BadRequest(f"metadata.severity must be one of {', '.join(_SEVERITIES)}")
        kept["severity"] = severity
    return kept


def _hard_bytes(storage_limit: int | None) -> int | None:
    """Harbor's -1 is unlimited; nothing or 0 is the default, which is unlimited."""
    if storage_limit is None or storage_limit in (0, -1):
        return None
    if storage_limit < 0:
        raise BadRequest("storage_limit must be -1 (unlimited) or more")
    return storage_limit


def _boolean_header(request: Request, name: str) -> bool:
    text = request.headers.get(name)
    return text is not None and parse_boolean(name, text)
