"""What artifacts have in common, and what takes room. Haven's own extension: Harbor has none of these paths."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import PAGE
from haven_api.views.artifacts import ArtifactsView
from haven_api.views.base import ApiView
from haven_api.views.projects import requested_project
from haven_core.errors import BadRequest
from haven_core.rbac.permissions import Action, Resource
from haven_registry import store
from haven_registry.artifact_list import find_artifact
from haven_registry.compare import ADDED, REMOVED, SAME, PackageComparison, Value, compare_artifacts
from haven_registry.insight import Usage, artifact_usage, list_blob_uses, project_usage, repository_usage
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid


class Compare(ArtifactsView):
    """Two artifacts of a repository. Haven's own extension."""

    @extend_schema(
        parameters=[
            *(OpenApiParameter(name, required=True, description="A tag or digest.") for name in ("a", "b")),
            OpenApiParameter("platform", description="Whose images are compared, such as linux/arm64."),
        ]
    )
    def get(self, request: Request, project_name: str, repository_name: str) -> Response:
        """What differs from `a` to `b`: layers with their sizes, config, environment, labels, and packages where both have
        an SBOM attached."""
        path = (project_name, repository_name)
        _, repository = self._repository(request, path, Resource.ARTIFACT_ADDITION, Action.READ)
        references = [request.query_params.get(name) for name in ("a", "b")]
        if not all(references):
            raise ValidationError({"a, b": "are required"})
        before, after = (find_artifact(repository.id, str(reference)) for reference in references)
        platform = request.query_params.get("platform", "")
        found = compare_artifacts(before, after, store.driver(), platform=platform)
        return Response(
            {
                "a": found.before,
                "b": found.after,
                "platform": found.platform,
                "platforms": found.platforms,
                "same_size": found.bytes_of(SAME),
                "added_size": found.bytes_of(ADDED),
                "removed_size": found.bytes_of(REMOVED),
                "layers": [
                    {"state": part.state, "digest": part.digest, "media_type": part.media_type, "size": part.size}
                    for part in found.parts
                ],
                "config": _render_values(found.config),
                "env": _render_values(found.env),
                "labels": _render_values(found.labels),
                "annotations": _render_values(found.annotations),
                "packages": _render_packages(found.packages),
            }
        )


class ArtifactUsage(ArtifactsView):
    """Room that an artifact takes. Haven's own extension."""

    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """Its bytes, alone and shared with others of the project."""
        path = (project_name, repository_name)
        project, _, row = self._artifact(request, path, reference, Resource.ARTIFACT_ADDITION, Action.READ)
        return Response(_render_usage(artifact_usage(project.project_id, row.id)))


class RepositoryUsage(ArtifactsView):
    """Room that a repository takes. Haven's own extension."""

    def get(self, request: Request, project_name: str, repository_name: str) -> Response:
        """Its bytes, alone and shared with others of the project."""
        project, repository = self._repository(
            request, (project_name, repository_name), Resource.ARTIFACT_ADDITION, Action.READ
        )
        return Response(_render_usage(repository_usage(project.project_id, repository.id)))


class ProjectUsage(ApiView):
    """Room that a project takes. Haven's own extension."""

    def get(self, request: Request, project_name: str) -> Response:
        """Its bytes, alone and shared with other projects whose artifacts the caller may see."""
        project = requested_project(self.actor, request, project_name, Resource.ARTIFACT_ADDITION, Action.READ)
        return Response(_render_usage(project_usage(self.actor, project.project_id)))


class BlobUses(ApiView):
    """Who uses a blob. Haven's own extension."""

    @extend_schema(parameters=list(PAGE), responses={200: {"type": "array", "items": {"type": "object"}}})
    def get(self, request: Request, digest: str) -> Response:
        """List the artifacts that have it, of those the caller may see."""
        try:
            wanted = str(Digest.parse(digest))
        except DigestInvalid:
            raise BadRequest(f"invalid digest: {digest[:150]}") from None
        query = requested_list(request)
        assert query.limit is not None  # requested_list gives every page a size
        size, uses, total = list_blob_uses(self.actor, wanted, offset=query.offset, limit=query.limit)
        rows = [
            {
                "repository_name": use.repository,
                "artifact_id": use.manifest_id,
                "digest": use.digest,
                "type": use.type,
                "tags": use.tags,
                "blob_size": size,
            }
            for use in uses
        ]
        return list_response(request, query, rows, total)


def _render_usage(usage: Usage) -> dict[str, int]:
    return {"blobs": usage.blobs, "size": usage.size, "unique": usage.unique, "shared": usage.shared}


def _render_values(values: Any) -> list[dict[str, Any]]:
    return [_render_value(value) for value in values]


def _render_packages(found: PackageComparison) -> dict[str, Any]:
    """a, b: whose SBOM is meant; null where nothing is attached. changes: versions, null where the package is not."""
    sides = {
        name: {"sbom": each.sbom or None, "problem": each.problem}
        for name, each in (("a", found.before), ("b", found.after))
    }
    changes = [
        {"state": each.state, "type": each.type, "name": each.name, "a": each.before, "b": each.after}
        for each in found.changes
    ]
    return {**sides, "same": found.same, "changes": changes}


def _render_value(value: Value) -> dict[str, Any]:
    return {"state": value.state, "name": value.name, "a": value.before, "b": value.after}
