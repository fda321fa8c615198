"""/projects/{project}/trash. Haven's own extension: in Harbor a delete can't be undone."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import PAGE
from haven_api.serializers import Text
from haven_api.views.base import ApiView, timestamp
from haven_api.views.projects import requested_project
from haven_core.errors import BadRequest, NotFound
from haven_core.projects.selectors import ProjectView
from haven_core.rbac.permissions import Action, Resource, require
from haven_registry.oci.reference import is_repository_name, is_tag
from haven_registry.services.repositories import restore_repository
from haven_registry.services.restore import Taken, restore_manifest, restore_tag
from haven_registry.services.trash import purge_artifact, purge_tag, purge_trash, purge_trashed_repository
from haven_registry.trash import Item, TrashView, find_trash, list_trash

_RESOURCES = {Item.ARTIFACT: Resource.ARTIFACT, Item.TAG: Resource.TAG, Item.REPOSITORY: Resource.REPOSITORY}


class RestoreBody(serializers.Serializer[Any]):
    """How to restore. taken: what to do about tags whose names mean other artifacts by now: refuse (409), keep those, or
    overwrite them. name: another one, for a tag or a repository."""

    taken = serializers.ChoiceField(choices=[each.value for each in Taken], required=False, default=Taken.REFUSE.value)
    name = Text(required=False, allow_null=True, default=None)


class Trash(ApiView):
    """The trash of a project. Haven's own extension."""

    @extend_schema(
        parameters=[
            OpenApiParameter("item", enum=[each.value for each in Item], description="Only things of this kind."),
            OpenApiParameter("repository", description="Only what was deleted in it; its name below the project."),
            *PAGE,
        ],
        responses={200: {"type": "array", "items": {"type": "object"}}},
    )
    def get(self, request: Request, project_name: str) -> Response:
        """List what can be restored, newest first."""
        # who may throw away may see what was, and who sees everything
        needed = Action.LIST if self.actor.sees_everything else Action.DELETE
        project = requested_project(self.actor, request, project_name, Resource.ARTIFACT, needed)
        asked = request.query_params.get("item")
        items = tuple(Item) if asked is None else (_item(asked),)
        query = requested_list(request)
        assert query.limit is not None  # requested_list gives every page a size
        repository = request.query_params.get("repository")
        views, total = list_trash(
            project.project_id, offset=query.offset, limit=query.limit, items=items, repository=repository
        )
        return list_response(request, query, [render_trash(view) for view in views], total)

    def delete(self, request: Request, project_name: str) -> Response:
        """Purge all of it, for good."""
        project = _project(self, request, project_name, *Item)
        purge_trash(project.project_id)
        return Response(status=200)


class OneTrashItem(ApiView):
    """A thing in the trash. Haven's own extension."""

    def delete(self, request: Request, project_name: str, item: str, item_id: int) -> Response:
        """Purge it, for good."""
        project, view = _requested(self, request, project_name, item, item_id)
        if view.item is Item.REPOSITORY:
            purge_trashed_repository(project_id=project.project_id, repository_id=view.id)
        elif view.item is Item.TAG:
            purge_tag(repository_id=view.repository_id, history_id=view.id)
        else:
            purge_artifact(project_id=project.project_id, repository_id=view.repository_id, manifest_id=view.id)
        return Response(status=200)


class TrashRestore(ApiView):
    """Restoring a thing. Haven's own extension."""

    @extend_schema(request=RestoreBody)
    def post(self, request: Request, project_name: str, item: str, item_id: int) -> Response:
        """Take it out of the trash. 409 when its name, or that of a tag that comes back with it, is taken."""
        project, view = _requested(self, request, project_name, item, item_id)
        body = RestoreBody(data=request.data)
        body.is_valid(raise_exception=True)
        taken, name = Taken(body.validated_data["taken"]), body.validated_data["name"]
        if view.item is Item.REPOSITORY:
            if name is not None and not is_repository_name(f"{project.name}/{name}"):
                raise BadRequest(f"invalid repository name: {name[:255]}")
            restore_repository(view.id, self.origin, name=name)
            return Response(status=200)
        if view.item is Item.TAG:
            if name is not None and not is_tag(name):
                raise BadRequest(f"invalid tag name: {name[:128]}")
            restored = restore_tag(
                repository_id=view.repository_id, history_id=view.id, name=name, taken=taken, origin=self.origin
            )
            return Response({"tags": [restored]})
        if name is not None:
            raise BadRequest("an artifact has no name: restore it with taken=keep, and tag it")
        tags = restore_manifest(repository_id=view.repository_id, digest=view.digest, taken=taken, origin=self.origin)
        return Response({"tags": tags})


def render_trash(view: TrashView) -> dict[str, Any]:
    """A thing in the trash. days_left: of its restore window, begun ones counted."""
    left = view.restorable_until - timezone.now()
    return {
        "item": view.item,
        "id": view.id,
        "repository_name": view.repository,
        "digest": view.digest,
        "type": view.type,
        "tags": view.tags,
        "size": view.size,
        "deleted_at": timestamp(view.deleted_at),
        "deleted_by": view.deleted_by,
        "restorable_until": timestamp(view.restorable_until),
        "days_left": max(0, -(-left // timedelta(days=1))),
    }


def _item(text: str) -> Item:
    try:
        return Item(text)
    except ValueError:
        raise ValidationError({"item": f"should be one of {', '.join(Item)}"}) from None


def _project(view: ApiView, request: Request, name: str, *items: Item) -> ProjectView:
    """The project, where the caller may delete things of these kinds: who may throw away may see, restore and purge what
    was thrown away."""
    first, *rest = items
    project = requested_project(view.actor, request, name, _RESOURCES[first], Action.DELETE)
    for item in rest:
        require(view.actor, project, _RESOURCES[item], Action.DELETE)
    return project


def _requested(
    view: ApiView, request: Request, project_name: str, item: str, item_id: int
) -> tuple[ProjectView, TrashView]:
    """Raises NotFound besides."""
    if item not in tuple(Item):
        raise NotFound(f"there is no {item[:50]} in the trash")
    project = _project(view, request, project_name, Item(item))
    found = find_trash(project.project_id, Item(item), item_id)
    view.audited_as = found.repository if not found.digest else f"{found.repository}@{found.digest}"
    return project, found
