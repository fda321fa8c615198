"""/users/current/tokens and /users/{user}/tokens: personal access tokens. Haven's own extension: Harbor has one secret of
a person at most."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.serializers import Integer, Text
from haven_api.views.base import ApiView, requested_id, timestamp
from haven_core.accounts.selectors import Account, find_account
from haven_core.domain.actor import Actor
from haven_core.domain.personal_tokens import TokenScope
from haven_core.errors import NotFound, NoUser
from haven_core.personal_tokens import selectors, services
from haven_core.personal_tokens.selectors import TokenView
from haven_core.rbac.permissions import Action, Resource, require_system


class PersonalTokenBody(serializers.Serializer[Any]):
    """What a token is for. projects: names; without them it is good wherever its owner may. expires_in_days: by default
    the configuration's."""

    name = Text(max_length=255)
    scope = Text(required=False, default=TokenScope.FULL.value, max_length=64)
    projects = serializers.ListField(child=Text(max_length=255), required=False, allow_null=True, max_length=10_000)
    expires_in_days = Integer(required=False, allow_null=True)


class PersonalTokens(ApiView):
    """The caller's personal access tokens. Haven's own extension: Harbor has no such path."""

    is_of_own_account = True

    @LIST
    def get(self, request: Request) -> Response:
        """List them, without their secrets: for what, until when, last used when and from where."""
        actor = _person(self)
        query = requested_list(request)
        views, total = selectors.list_tokens(actor, query)
        return list_response(request, query, [_render(view) for view in views], total)

    @extend_schema(request=PersonalTokenBody)
    def post(self, request: Request) -> Response:
        """Create; the only answer that holds the secret. With a password or a session, never with a token."""
        actor = _person(self)
        self.require_password()
        body = PersonalTokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        made = services.create_token(
            actor,
            name=sent["name"],
            scope=sent["scope"],
            projects=sent.get("projects"),
            days=sent.get("expires_in_days"),
        )
        shown = {
            "id": made.token_id,
            "name": sent["name"],
            "secret": made.secret,
            "creation_time": timestamp(made.created_at),
            "expires_at": int(made.expires_at.timestamp()),
        }
        location = f"/api/v2.0/users/current/tokens/{made.token_id}"
        return Response(shown, status=201, headers={"Location": location, "Cache-Control": "no-store"})


class OnePersonalToken(ApiView):
    """One of them. Haven's own extension: Harbor has no such path."""

    is_of_own_account = True

    def get(self, _request: Request, token_id: int) -> Response:
        """Read, without its secret."""
        return Response(_render(selectors.find_token(_person(self), token_id)))

    def delete(self, _request: Request, token_id: int) -> Response:
        """Revoke it now. With a password or a session, never with a token."""
        actor = _person(self)
        self.require_password()
        self.audited_as = selectors.find_token(actor, token_id).name
        services.revoke_token(actor, token_id)
        return Response(status=200)


class TokensOfUser(ApiView):
    """Anybody's personal access tokens, for administrators. Haven's own extension: Harbor has no such path."""

    @LIST
    def get(self, request: Request, user_id: str) -> Response:
        """List them, without their secrets; for who may read the account (auditors, too). One's own as well."""
        account = _account(self, user_id, Action.READ)
        query = requested_list(request)
        views, total = selectors.list_tokens(self.actor, query, user_id=account.user_id)
        return list_response(request, query, [_render(view) for view in views], total)


class OneTokenOfUser(ApiView):
    """One of them. Haven's own extension: Harbor has no such path."""

    is_of_own_account = True

    def get(self, _request: Request, user_id: str, token_id: int) -> Response:
        """Read, without its secret."""
        account = _account(self, user_id, Action.READ)
        return Response(_render(selectors.find_token(self.actor, token_id, user_id=account.user_id)))

    def delete(self, _request: Request, user_id: str, token_id: int) -> Response:
        """Revoke it now; for who may change the account. With a password or a session, never with a token."""
        account = _account(self, user_id, Action.UPDATE)
        self.require_password()
        found = selectors.find_token(self.actor, token_id, user_id=account.user_id)
        self.audited_as = f"{account.username}/{found.name}"
        services.revoke_token(self.actor, token_id, user_id=account.user_id)
        return Response(status=200)


def _account(view: ApiView, user_id: str, action: Action) -> Account:
    """The account: the caller's own, or one that they may do `action` with. Raises Unauthorized, Forbidden, NotFound."""
    actor, number = view.require_login(), requested_id("user_id", user_id)
    if actor.is_robot or number != actor.user_id:
        require_system(actor, Resource.USER, action)
    account = find_account(actor, number, action)
    if account is None:
        raise NotFound(f"user {number} not found")
    return account


def _person(view: ApiView) -> Actor:
    actor = view.require_login()
    if actor.is_robot:
        raise NoUser
    return actor


def _render(view: TokenView) -> dict[str, Any]:
    return {
        "id": view.token_id,
        "name": view.name,
        "scope": view.scope,
        "projects": None if view.projects is None else list(view.projects),
        "creation_time": timestamp(view.created_at),
        "expires_at": int(view.expires_at.timestamp()),
        "last_used_time": timestamp(view.last_used_at) if view.last_used_at else None,
        "last_used_from": view.last_used_from,
    }
