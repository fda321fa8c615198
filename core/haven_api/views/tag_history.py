"""/projects/{project}/repositories/{repository}/tags/{tag}. Haven's own extension: Harbor forgets what tags meant."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.serializers import Text
from haven_api.views.base import ApiView, timestamp
from haven_api.views.repositories import requested_repository
from haven_core.errors import BadRequest
from haven_core.rbac.permissions import Action, Resource, evaluate
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid
from haven_registry.services.rollback import roll_back_tag
from haven_registry.tag_history import TagChange, list_tag_history


class RollbackBody(serializers.Serializer[Any]):
    """digest: what the tag shall mean again. expected: only if it means this now."""

    digest = Text()
    expected = Text(required=False, allow_null=True, default=None)


class TagHistory(ApiView):
    """What a tag meant. Haven's own extension."""

    @LIST
    def get(self, request: Request, project_name: str, repository_name: str, tag_name: str) -> Response:
        """List its changes, newest first; also of a tag that is deleted. For members: it names who made them."""
        _, repository = requested_repository(
            self.actor, request, project_name, repository_name, Resource.REPOSITORY, Action.READ
        )
        query = requested_list(request)
        changes, total = list_tag_history(repository.id, tag_name, query)
        return list_response(request, query, [_render(change) for change in changes], total)


class TagRollback(ApiView):
    """Going back. Haven's own extension."""

    @extend_schema(request=RollbackBody)
    def post(self, request: Request, project_name: str, repository_name: str, tag_name: str) -> Response:
        """Make the tag name an artifact that it named before; out of the trash too, for who may restore."""
        project, repository = requested_repository(
            self.actor, request, project_name, repository_name, Resource.TAG, Action.CREATE
        )
        self.audited_as = f"{repository.full_name}:{tag_name}"
        body = RollbackBody(data=request.data)
        body.is_valid(raise_exception=True)
        digest, expected = body.validated_data["digest"], body.validated_data["expected"]
        previous = roll_back_tag(
            repository_id=repository.id, name=tag_name, digest=_digest(digest),
            may_revive=evaluate(self.actor, Resource.ARTIFACT, Action.DELETE, project),
            expected=None if expected is None else _digest(expected), origin=self.origin,
        )  # fmt: skip
        return Response({"from": previous, "to": digest})


def _render(change: TagChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "tag": change.name,
        "from": change.before,
        "from_state": change.before_state,
        "to": change.after,
        "to_state": change.after_state,
        "how": change.how,
        "by": change.by,
        "time": timestamp(change.at),
    }


def _digest(text: str) -> str:
    try:
        return str(Digest.parse(text))
    except DigestInvalid:
        raise BadRequest(f"invalid digest: {text[:150]}") from None
