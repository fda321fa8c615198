"""/projects/{project}/metadatas/."""

from collections.abc import Mapping

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.views.base import ApiView
from haven_api.views.projects import requested_project
from haven_core.domain.project_metadata import KEYS
from haven_core.errors import BadRequest, NotFound
from haven_core.projects import metadata as services
from haven_core.projects.metadata import shown
from haven_core.rbac.permissions import Action, Resource

_PAIR = {"application/json": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 1}}


class ProjectMetadata(ApiView):
    """The whole map."""

    def get(self, request: Request, name_or_id: str) -> Response:
        """Read. No role of a project has this right, only system administrators and robots (Harbor)."""
        project = requested_project(self.actor, request, name_or_id, Resource.METADATA, Action.LIST)
        return Response(shown(project.metadata, is_public=project.is_public))

    @extend_schema(request=_PAIR)
    def post(self, request: Request, name_or_id: str) -> Response:
        """Add one key."""
        project = requested_project(self.actor, request, name_or_id, Resource.METADATA, Action.CREATE)
        sent = _pairs(request)
        if len(sent) != 1:
            raise BadRequest("only allow one key/value pair")
        [(key, value)] = sent.items()
        services.add_metadata(project_id=project.project_id, key=key, value=value)
        return Response(status=200)


class OneProjectMetadata(ApiView):
    """One key."""

    def get(self, request: Request, name_or_id: str, key: str) -> Response:
        """Read."""
        project = requested_project(self.actor, request, name_or_id, Resource.METADATA, Action.READ)
        metadata = shown(project.metadata, is_public=project.is_public)
        if key not in KEYS:
            raise BadRequest(f"there is no project metadata {key[:64]!a}")
        if key not in metadata:
            raise NotFound(f"metadata {key} not found")
        return Response({key: metadata[key]})

    @extend_schema(request=_PAIR)
    def put(self, request: Request, name_or_id: str, key: str) -> Response:
        """Replace. The body must name the key again."""
        project = requested_project(self.actor, request, name_or_id, Resource.METADATA, Action.UPDATE)
        sent = _pairs(request)
        if set(sent) != {key}:
            raise BadRequest(f"the body must hold {key[:64]!a} and nothing else")
        services.replace_metadata(project_id=project.project_id, key=key, value=sent[key])
        return Response(status=200)

    def delete(self, request: Request, name_or_id: str, key: str) -> Response:
        """Remove."""
        project = requested_project(self.actor, request, name_or_id, Resource.METADATA, Action.DELETE)
        services.delete_metadata(project_id=project.project_id, key=key)
        return Response(status=200)


def _pairs(request: Request) -> Mapping[str, str]:
    sent = request.data
    if not isinstance(sent, Mapping) or not all(isinstance(value, str) for value in sent.values()):
        raise ValidationError({"metadata": "must be an object of strings"})
    if any("\0" in text for pair in sent.items() for text in pair):
        raise ValidationError({"metadata": "holds a NUL character"})
    return sent
