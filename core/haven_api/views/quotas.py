"""/quotas. A quota has the id of its project."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import listing
from haven_api.query import text_parameters
from haven_api.serializers import Integer
from haven_api.views.base import ApiView, timestamp
from haven_core.domain.conditions import Match
from haven_core.errors import BadRequest, NotFound
from haven_core.quotas import selectors, services
from haven_core.quotas.selectors import QuotaView
from haven_core.rbac.permissions import Action, Resource, require_system

STORAGE = "storage"


class QuotaBody(serializers.Serializer[Any]):
    """QuotaUpdateReq."""

    hard = serializers.DictField(child=Integer())


class Quotas(ApiView):
    """The collection."""

    @listing("reference", "reference_id")
    def get(self, request: Request) -> Response:
        """List. `reference` may be `project` only, as nothing else has a quota."""
        require_system(self.actor, Resource.QUOTA, Action.LIST)
        query = requested_list(request, *text_parameters(request, reference_id=Match.EXACT))
        if request.query_params.get("reference", "project") not in ("project", ""):
            return list_response(request, query, [], 0)
        views, total = selectors.list_quotas(self.actor, query)
        return list_response(request, query, [render_quota(view) for view in views], total)


class OneQuota(ApiView):
    """The quota of a project."""

    def get(self, _request: Request, quota_id: int) -> Response:
        """Read."""
        require_system(self.actor, Resource.QUOTA, Action.READ)
        return Response(render_quota(self._view(quota_id)))

    @extend_schema(request=QuotaBody)
    def put(self, request: Request, quota_id: int) -> Response:
        """Set the limit; also below what is used, as in Harbor."""
        require_system(self.actor, Resource.QUOTA, Action.UPDATE)
        body = QuotaBody(data=request.data)
        body.is_valid(raise_exception=True)
        hard = body.validated_data["hard"]
        if unknown := sorted(hard.keys() - {STORAGE}):
            raise BadRequest(f"resource {unknown[0][:64]} is not supported")
        if STORAGE not in hard:
            raise ValidationError({"hard": "names no storage"})
        self.audited_as, self.audited_in = self._view(quota_id).project_name, quota_id
        services.set_limit(project_id=quota_id, hard_bytes=services.parse_limit(hard[STORAGE]))
        return Response(status=200)

    def _view(self, quota_id: int) -> QuotaView:
        view = selectors.find_quota(self.actor, quota_id)
        if view is None:
            raise NotFound(f"quota {quota_id} not found")
        return view


def render_quota(view: QuotaView) -> dict[str, Any]:
    """A quota as Harbor's API shows it."""
    return {
        "id": view.project_id,
        "ref": {"id": view.project_id, "name": view.project_name, "owner_name": view.owner_name},
        "hard": {STORAGE: services.UNLIMITED if view.hard_bytes is None else view.hard_bytes},
        "used": {STORAGE: view.used_bytes},
        "creation_time": timestamp(view.created_at),
        "update_time": timestamp(view.updated_at),
    }
