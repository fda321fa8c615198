"""/labels."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import listing
from haven_api.query import text_parameters
from haven_api.serializers import Integer, Text
from haven_api.views.base import ApiView, timestamp
from haven_core.domain.conditions import ListQuery, Match
from haven_core.errors import BadRequest, NotFound
from haven_core.labels import selectors, services
from haven_core.labels.selectors import LabelView
from haven_core.projects.selectors import enter_project
from haven_core.rbac.permissions import Action, Resource, require, require_system

GLOBAL, PROJECT = "g", "p"


class LabelBody(serializers.Serializer[Any]):
    """Label. What Haven sets itself is dropped."""

    name = Text(required=False, default="")
    description = Text(required=False, default="", allow_null=True)
    color = Text(required=False, default="", allow_null=True)
    scope = Text(required=False, default="")
    project_id = Integer(required=False, default=0, allow_null=True)


class Labels(ApiView):
    """The collection."""

    @listing("name", "scope", "project_id")
    def get(self, request: Request) -> Response:
        """List the global labels, for anybody, or those of a project."""
        query = requested_list(request, *text_parameters(request, name=Match.CONTAINS))
        scope = request.query_params.get("scope") or _condition(query, "scope")
        if scope not in (GLOBAL, PROJECT):
            raise BadRequest("invalid scope: it must be g or p")
        project_id = None
        if scope == PROJECT:
            project_id = _project_id(request, query)
            require(self.actor, enter_project(self.actor, project_id), Resource.LABEL, Action.LIST)
        views, total = selectors.list_labels(self.actor, project_id, query)
        return list_response(request, query, [render_label(view) for view in views], total)

    @extend_schema(request=LabelBody)
    def post(self, request: Request) -> Response:
        """Create."""
        self.require_login()
        sent = _body(request)
        if sent["scope"] not in (GLOBAL, PROJECT):
            raise BadRequest("invalid scope: it must be g or p")
        project_id = None
        if sent["scope"] == PROJECT:
            project_id = sent["project_id"] or 0
            if project_id <= 0:
                raise BadRequest("a label of scope p needs a project_id")
            require(self.actor, enter_project(self.actor, project_id), Resource.LABEL, Action.CREATE)
            self.audited_in = project_id
        else:
            require_system(self.actor, Resource.LABEL, Action.CREATE)
        label_id = services.create_label(
            project_id=project_id,
            name=sent["name"],
            description=sent["description"] or "",
            color=sent["color"] or "",
        )
        return Response(status=201, headers={"Location": f"/api/v2.0/labels/{label_id}"})


class OneLabel(ApiView):
    """A label by id."""

    def get(self, _request: Request, label_id: int) -> Response:
        """Read."""
        return Response(render_label(self._allowed(label_id, Action.READ)))

    @extend_schema(request=LabelBody)
    def put(self, request: Request, label_id: int) -> Response:
        """Replace what it says. Scope and project stay, whatever the body says (Harbor)."""
        view = self._allowed(label_id, Action.UPDATE)
        sent = _body(request)
        services.update_label(
            label_id=label_id,
            name=sent["name"] or view.name,
            description=sent["description"] or "",
            color=sent["color"] or "",
        )
        return Response(status=200)

    def delete(self, _request: Request, label_id: int) -> Response:
        """Remove."""
        self._allowed(label_id, Action.DELETE)
        services.delete_label(label_id=label_id)
        return Response(status=200)

    def _allowed(self, label_id: int, action: Action) -> LabelView:
        """The label, for who may do `action`. A global one is anybody's to read."""
        if action is not Action.READ:
            self.require_login()
        view = selectors.find_label(label_id)
        if view is None:
            raise NotFound(f"label {label_id} not found")
        self.audited_as, self.audited_in = view.name, view.project_id
        if view.project_id is not None:
            project = enter_project(self.actor, view.project_id)
            if project is None and not self.actor.sees_everything:
                # of a project the caller can't see: the same as no label
                raise NotFound(f"label {label_id} not found")
            require(self.actor, project, Resource.LABEL, action)
        elif action is not Action.READ:
            require_system(self.actor, Resource.LABEL, action)
        return view


def render_label(view: LabelView) -> dict[str, Any]:
    """A label as Harbor's API shows it."""
    return {
        "id": view.id,
        "name": view.name,
        "description": view.description,
        "color": view.color,
        "scope": GLOBAL if view.project_id is None else PROJECT,
        "project_id": view.project_id or 0,
        "creation_time": timestamp(view.created_at),
        "update_time": timestamp(view.updated_at),
    }


def _body(request: Request) -> dict[str, Any]:
    body = LabelBody(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _condition(query: ListQuery, key: str) -> str:
    return next((one.value for one in query.conditions if one.key == key and one.match is Match.EXACT), "")


def _project_id(request: Request, query: ListQuery) -> int:
    text = request.query_params.get("project_id")
    if text is not None and not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
        raise ValidationError({"project_id": "must be a number"})
    text = text or _condition(query, "project_id")
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise BadRequest(f"invalid project_id: {text[:32]}")
    return int(text)
