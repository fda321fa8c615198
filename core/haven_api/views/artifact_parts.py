"""What lies below an artifact: tags, accessories, additions, layers."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.query import boolean_parameter
from haven_api.serializers import Integer, Text
from haven_api.views.artifacts import ArtifactsView, render_accessory, render_tag
from haven_core.errors import BadRequest, NotFound
from haven_core.labels.selectors import find_label
from haven_core.rbac.permissions import Action, Resource
from haven_registry import store
from haven_registry.accessories import list_accessories_of
from haven_registry.additions import list_layers, load_addition
from haven_registry.artifact_list import list_artifact_tags
from haven_registry.oci.reference import is_tag
from haven_registry.services.labels import attach_label, detach_label
from haven_registry.services.tags import delete_tag, move_tag

ADDITIONS = ("build_history", "values.yaml", "readme.md", "dependencies", "sbom", "license", "files")


class TagBody(serializers.Serializer[Any]):
    """NewTag. What Haven sets itself is dropped."""

    name = Text()


class Tags(ArtifactsView):
    """Tags of an artifact."""

    @LIST
    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """List, newest first."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.TAG, Action.LIST)
        boolean_parameter(request, "with_immutable_status")
        query = requested_list(request)
        tags, total = list_artifact_tags(row, query)
        return list_response(request, query, [render_tag(repository, tag) for tag in tags], total)

    @extend_schema(request=TagBody)
    def post(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """Give it one more name, which nothing in the repository has."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.TAG, Action.CREATE)
        body = TagBody(data=request.data)
        body.is_valid(raise_exception=True)
        name = body.validated_data["name"]
        if not is_tag(name):
            raise BadRequest(f"invalid tag name: {name[:128]}")
        self.audited_as = f"{repository.full_name}:{name}"
        move_tag(repository_id=repository.id, name=name, digest=row.digest, must_be_new=True, origin=self.origin)
        return Response(status=201)


class OneTag(ArtifactsView):
    """A tag of an artifact."""

    def delete(
        self, request: Request, project_name: str, repository_name: str, reference: str, tag_name: str
    ) -> Response:
        """Remove the name; the artifact stays."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.TAG, Action.DELETE)
        delete_tag(repository_id=repository.id, name=tag_name, manifest_id=row.id, origin=self.origin)
        return Response(status=200)


class LabelId(serializers.Serializer[Any]):
    """Label, of which only the id counts (Harbor)."""

    id = Integer()


class ArtifactLabels(ArtifactsView):
    """Labels on an artifact."""

    @extend_schema(request=LabelId)
    def post(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """Put a label on it: a global one, or one of the artifact's project."""
        path = (project_name, repository_name)
        project, _, row = self._artifact(request, path, reference, Resource.ARTIFACT_LABEL, Action.CREATE)
        body = LabelId(data=request.data)
        body.is_valid(raise_exception=True)
        label_id = body.validated_data["id"]
        label = find_label(label_id)
        if label is None or label.project_id not in (None, project.project_id):
            raise NotFound(f"label {label_id} not found")
        attach_label(manifest_id=row.id, label_id=label.id)
        return Response(status=200)


class OneArtifactLabel(ArtifactsView):
    """A label on an artifact."""

    def delete(
        self, request: Request, project_name: str, repository_name: str, reference: str, label_id: int
    ) -> Response:
        """Take it off."""
        path = (project_name, repository_name)
        _, _, row = self._artifact(request, path, reference, Resource.ARTIFACT_LABEL, Action.DELETE)
        detach_label(manifest_id=row.id, label_id=label_id)
        return Response(status=200)


class Accessories(ArtifactsView):
    """Signatures, SBOMs and the like."""

    @LIST
    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """List, oldest first."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.ACCESSORY, Action.LIST)
        query = requested_list(request)
        assert query.limit is not None  # requested_list gives every page a size
        views = list_accessories_of({(repository.id, row.digest): row.id}).get(row.id, [])
        page = views[query.offset : query.offset + query.limit]
        return list_response(request, query, [render_accessory(repository, view) for view in page], len(views))


class Addition(ArtifactsView):
    """A part of an artifact in its own format."""

    def get(
        self, request: Request, project_name: str, repository_name: str, reference: str, addition: str
    ) -> HttpResponse:
        """Read. Written by strangers: its type is fixed, and no browser may guess another."""
        path = (project_name, repository_name)
        _, repository, row = self._artifact(request, path, reference, Resource.ARTIFACT_ADDITION, Action.READ)
        if addition not in ADDITIONS:
            raise ValidationError({"addition": f"should be one of {', '.join(ADDITIONS)}"})
        text, content_type = load_addition(repository.id, row, addition, store.driver())
        return HttpResponse(text, content_type=content_type, headers={"X-Content-Type-Options": "nosniff"})


class Layers(ArtifactsView):
    """Layers of an image and who shares them. Haven's own extension: Harbor has no such path."""

    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """List in order, with the command that made each and the number of manifests of the project that have it."""
        path = (project_name, repository_name)
        _, _, row = self._artifact(request, path, reference, Resource.ARTIFACT_ADDITION, Action.READ)
        return Response(
            [
                {
                    "digest": layer.digest,
                    "media_type": layer.media_type,
                    "size": layer.size,
                    "command": layer.command,
                    "created": layer.created,
                    "shared_by": layer.shared_by,
                }
                for layer in list_layers(row, store.driver())
            ]
        )
