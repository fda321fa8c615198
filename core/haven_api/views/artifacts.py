"""/projects/{project}/repositories/{repository}/artifacts."""

from typing import Any
from urllib.parse import quote

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST, asked
from haven_api.query import boolean_parameter
from haven_api.views.base import ApiView, timestamp
from haven_api.views.labels import render_label
from haven_api.views.projects import requested_project
from haven_api.views.repositories import requested_repository
from haven_core.errors import BadRequest
from haven_core.policies.immutability import tag_protection
from haven_core.projects.selectors import ProjectView, enter_project
from haven_core.rbac.permissions import Action, Resource, require
from haven_registry import store
from haven_registry.accessories import AccessoryView
from haven_registry.additions import additions_of
from haven_registry.artifact_list import (
    ArtifactView,
    ManifestRow,
    Parts,
    describe_artifact,
    find_artifact,
    list_artifacts,
    list_project_artifacts,
)
from haven_registry.artifact_parts import TagView
from haven_registry.artifacts.icons import icon_of, icon_of_accessory
from haven_registry.oci.reference import is_repository_name
from haven_registry.repository_list import RepositoryPlace, locate_repositories, locate_repository
from haven_registry.services.artifacts import copy_with_accessories, delete_artifact
from haven_registry.services.repositories import get_or_create_repository

NEVER = "0001-01-01T00:00:00.000Z"  # Go's zero time, as Harbor writes it


class ArtifactsView(ApiView):
    """A view below a repository."""

    def _repository(
        self, request: Request, path: tuple[str, str], resource: Resource, action: Action
    ) -> tuple[ProjectView, RepositoryPlace]:
        return requested_repository(self.actor, request, *path, resource, action)

    def _artifact(
        self, request: Request, path: tuple[str, str], reference: str, resource: Resource, action: Action
    ) -> tuple[ProjectView, RepositoryPlace, ManifestRow]:
        """What a path names, where the caller may do `action`. Raises ManifestUnknown besides."""
        project, repository = self._repository(request, path, resource, action)
        return project, repository, find_artifact(repository.id, reference)


class Artifacts(ArtifactsView):
    """The collection."""

    @LIST
    def get(self, request: Request, project_name: str, repository_name: str) -> Response:
        """List those that are tagged or not below an index; accessories never (Harbor)."""
        _, repository = self._repository(request, (project_name, repository_name), Resource.ARTIFACT, Action.LIST)
        query = requested_list(request)
        views, total = list_artifacts(repository.id, query, store.driver(), requested_parts(request))
        return list_response(request, query, [render_artifact(repository, view) for view in views], total)

    @asked(required="from")
    def post(self, request: Request, project_name: str, repository_name: str) -> Response:
        """Copy `from` (project/repository:tag or @digest) here, with its tags, children and accessories; no byte moves."""
        source = request.query_params.get("from")
        if not source:
            raise ValidationError({"from": "is required"})
        project = requested_project(self.actor, request, project_name, Resource.ARTIFACT, Action.CREATE)
        if not is_repository_name(f"{project.name}/{repository_name}"):
            raise BadRequest(f"invalid repository name: {repository_name[:255]}")
        source_id, row, reference = self._source(source)
        target_id = get_or_create_repository(project.project_id, repository_name)
        copy_with_accessories(
            source_repository_id=source_id, digest=row.digest, manifest_id=row.id, repository_id=target_id,
            project_id=project.project_id, origin=self.origin,
        )  # fmt: skip
        path = artifact_path(locate_repository(project.project_id, repository_name), reference)
        return Response(status=201, headers={"Location": path})

    def _source(self, text: str) -> tuple[int, ManifestRow, str]:
        """Repository id, artifact and its reference, of what the caller may read. Raises BadRequest, NotFound."""
        full_name, at, reference = text.partition("@")
        if not at:
            full_name, _, reference = text.rpartition(":")
        project_name, _, name = full_name.partition("/")
        if not (project_name and name and reference):
            raise BadRequest(f"invalid artifact: {text[:255]}")
        project = enter_project(self.actor, project_name)
        require(self.actor, project, Resource.ARTIFACT, Action.READ)
        assert project is not None  # require refuses None
        repository = locate_repository(project.project_id, name)
        return repository.id, find_artifact(repository.id, reference), reference


class ProjectArtifacts(ApiView):
    """Of all repositories of a project."""

    @LIST
    def get(self, request: Request, project_name: str) -> Response:
        """List. With latest_in_repository only the one of each repository that was pushed last, of those with one
        media_type or artifact_type (Harbor)."""
        project = requested_project(self.actor, request, project_name, Resource.ARTIFACT, Action.LIST)
        query = requested_list(request)
        parts = requested_parts(request, are_default=False)
        only_latest = boolean_parameter(request, "latest_in_repository") is True
        named = [each for each in query.conditions if each.key in ("media_type", "artifact_type")]
        if only_latest and len(named) != 1:
            raise BadRequest("latest_in_repository takes either media_type or artifact_type in q")
        views, total = list_project_artifacts(project.project_id, query, store.driver(), parts, only_latest=only_latest)
        ids = {view.row.repository_id for view in views}
        repositories = locate_repositories(ids)
        rows = [
            render_artifact(repositories[view.row.repository_id], view)
            for view in views
            if view.row.repository_id in repositories  # else deleted meanwhile
        ]
        return list_response(request, query, rows, total)


class OneArtifact(ArtifactsView):
    """An artifact by tag or digest."""

    def get(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """Read."""
        _, repository, row = self._artifact(
            request, (project_name, repository_name), reference, Resource.ARTIFACT, Action.READ
        )
        view = describe_artifact(row, store.driver(), requested_parts(request))
        return Response(render_artifact(repository, view))

    def delete(self, request: Request, project_name: str, repository_name: str, reference: str) -> Response:
        """Move it to the trash with all its tags and accessories, also when a tag was named (Harbor)."""
        _, repository, row = self._artifact(
            request, (project_name, repository_name), reference, Resource.ARTIFACT, Action.DELETE
        )
        delete_artifact(repository_id=repository.id, digest=row.digest, origin=self.origin)
        return Response(status=200)


def requested_parts(request: Request, *, are_default: bool = True) -> Parts:
    """with_tag and with_accessory, both on unless switched off, and with_label; the others are checked only.

    are_default: False where the contract has with_accessory off.

    Raises ValidationError.
    """
    asked = {
        name: boolean_parameter(request, name)
        for name in (
            "with_tag", "with_label", "with_accessory", "with_scan_overview", "with_sbom_overview",
            "with_immutable_status", "with_inherited_accessory", "with_signature",
        )
    }  # fmt: skip
    return Parts(
        tags=asked["with_tag"] is not False,
        labels=asked["with_label"] is True,
        accessories=asked["with_accessory"] is True or (are_default and asked["with_accessory"] is None),
    )


def render_artifact(repository: RepositoryPlace, view: ArtifactView) -> dict[str, Any]:
    """An artifact as Harbor's API shows it."""
    row, details = view.row, view.details
    found: dict[str, Any] = {
        "id": row.id,
        "type": row.kind,
        "media_type": row.config_media_type,
        "manifest_media_type": row.media_type,
        "artifact_type": row.artifact_type,
        "project_id": repository.project_id,
        "repository_id": repository.id,
        "repository_name": repository.full_name,
        "digest": row.digest,
        "size": view.size,
        "icon": icon_of(row.kind),
        "push_time": timestamp(row.pushed_at),
        "pull_time": timestamp(view.pulled_at) if view.pulled_at else NEVER,
        "extra_attrs": details.extra,
        "annotations": details.annotations,
        "references": [
            {"parent_id": row.id, "child_id": view.children[child["child_digest"]], **child}
            for child in details.children
            if child["child_digest"] in view.children
        ],
        "addition_links": _addition_links(repository, row),
    }
    if view.tags is not None:
        found["tags"] = [render_tag(repository, tag) for tag in view.tags]
    if view.labels is not None:
        found["labels"] = [render_label(label) for label in view.labels]
    if view.accessories is not None:
        found["accessories"] = [render_accessory(repository, each) for each in view.accessories]
    return found


def render_tag(repository: RepositoryPlace, tag: TagView) -> dict[str, Any]:
    """A tag as Harbor's API shows it; `immutable` is said whether it was asked for or not."""
    is_immutable = tag_protection(repository.project_id, repository.full_name.partition("/")[2])
    return {
        "id": tag.id,
        "repository_id": repository.id,
        "artifact_id": tag.manifest_id,
        "name": tag.name,
        "push_time": timestamp(tag.moved_at),
        "pull_time": timestamp(tag.pulled_at) if tag.pulled_at else NEVER,
        "immutable": is_immutable is not None and is_immutable(tag.name),
    }


def render_accessory(repository: RepositoryPlace, view: AccessoryView) -> dict[str, Any]:
    """An accessory as Harbor's API shows it."""
    return {
        "id": view.id,
        "artifact_id": view.id,
        "subject_artifact_id": view.subject_id,
        "subject_artifact_digest": view.subject_digest,
        "subject_artifact_repo": repository.full_name,
        "size": view.size,
        "digest": view.digest,
        "type": view.kind,
        "icon": icon_of_accessory(view.kind),
        "creation_time": timestamp(view.created_at),
    }


def artifact_path(repository: RepositoryPlace, reference: str) -> str:
    """The artifact's path in this API; a slash in the repository's name is encoded twice (Harbor)."""
    project, _, name = repository.full_name.partition("/")
    encoded = quote(quote(name, safe=""), safe="")
    return f"/api/v2.0/projects/{project}/repositories/{encoded}/artifacts/{reference}"


def _addition_links(repository: RepositoryPlace, row: ManifestRow) -> dict[str, Any]:
    base = artifact_path(repository, row.digest)
    return {name: {"href": f"{base}/additions/{name}", "absolute": False} for name in additions_of(row)}
