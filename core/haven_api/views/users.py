"""/users."""

import re
from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.csrf import is_from_own_page
from haven_api.lists import list_response, requested_list
from haven_api.openapi import NO_BODY, asked, listing, paged
from haven_api.paging import requested_page
from haven_api.query import boolean_parameter, text_parameters
from haven_api.serializers.users import AuditorBody, PasswordBody, ProfileBody, SysadminBody, UserBody
from haven_api.views.base import ApiView, requested_id, timestamp
from haven_core.accounts import passwords, policy, selectors, services
from haven_core.accounts.profiles import check_profile
from haven_core.accounts.selectors import Account
from haven_core.accounts.sessions import LiveSession, open_session, set_session_cookie
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import Forbidden, NotFound, NoUser, PreconditionRefused, Unauthorized
from haven_core.projects.selectors import enter_project
from haven_core.rbac.permissions import Action, Resource, evaluate, permissions_of, require_system

_PROJECT_SCOPE = re.compile(r"/project/([0-9]{1,18})")


class Users(ApiView):
    """The collection."""

    @listing("username", "email")
    def get(self, request: Request) -> Response:
        """List; for administrators."""
        require_system(self.actor, Resource.USER, Action.LIST)
        older = text_parameters(request, username=Match.CONTAINS, email=Match.CONTAINS)
        query = requested_list(request, *older)
        accounts, total = selectors.list_accounts(self.actor, query)
        return list_response(request, query, [render_user(one) for one in accounts], total)

    @extend_schema(request=UserBody)
    def post(self, request: Request) -> Response:
        """Create: by an administrator, or where self-registration is on by a stranger at the portal."""
        self._check_may_create(request)
        body = UserBody(data=request.data)
        body.is_valid(raise_exception=True)
        sent = {key: value or "" for key, value in body.validated_data.items()}
        passwords.check_rule(sent.get("password", ""))
        email, realname, comment = (sent.get(key, "") for key in ("email", "realname", "comment"))
        check_profile(email=email, realname=realname, comment=comment)
        user_id = services.create_user(
            username=sent.get("username", ""),
            password=sent.get("password", ""),
            email=email,
            realname=realname,
            comment=comment,
            created_by=self.actor.name or sent.get("username", ""),
        )
        return Response(status=201, headers={"Location": f"/api/v2.0/users/{user_id}"})

    def _check_may_create(self, request: Request) -> None:
        if not policy.self_registration():
            require_system(self.actor, Resource.USER, Action.CREATE)
        elif not (evaluate(self.actor, Resource.USER, Action.CREATE) or is_from_own_page(request)):
            raise Forbidden("self-registration cannot be triggered via API")


class CurrentUser(ApiView):
    """GET /users/current."""

    works_before_password_change = True

    def get(self, _request: Request) -> Response:
        actor = self.require_login()
        if actor.is_robot:
            raise NoUser
        account = selectors.find_account(actor, actor.user_id)
        if account is None:
            raise Unauthorized  # deleted since the login
        return Response(render_user(account))


class CurrentPermissions(ApiView):
    """GET /users/current/permissions: what the caller may do in `scope`, /project/ID or /system."""

    @asked("scope", "relative")
    def get(self, request: Request) -> Response:
        actor = self.require_login()
        scope = request.query_params.get("scope", "")
        is_relative = boolean_parameter(request, "relative") or False
        match = _PROJECT_SCOPE.fullmatch(scope)
        project = enter_project(actor, int(match[1])) if match else None
        permissions = permissions_of(actor, project) if project or scope == "/system" else []
        body = []
        for resource, action in permissions:
            name = "" if project and resource == Resource.PROJECT else str(resource)
            path = (name or ".") if is_relative else f"{scope}/{name}".rstrip("/")
            body.append({"resource": path, "action": str(action)})
        return Response(body)


class UserSearch(ApiView):
    """GET /users/search: ids and names only, for whoever is logged in (they make members of them)."""

    @paged(required="username")
    def get(self, request: Request) -> Response:
        self.require_login()
        name = request.query_params.get("username")
        if name is None:
            raise ValidationError({"username": "is required"})
        page = requested_page(request)
        query = ListQuery(
            (Condition("username", Match.CONTAINS, (name,)),), ("username",), offset=page.offset, limit=page.size
        )
        found, total = selectors.search_names(self.actor, query)
        body = [{"user_id": user_id, "username": username} for user_id, username in found]
        return list_response(request, query, body, total)


class OneUser(ApiView):
    """An account, by id: one's own, or for administrators any."""

    is_of_own_account = True

    def get(self, _request: Request, user_id: str) -> Response:
        """Read."""
        number = _own_or(self.require_login(), requested_id("user_id", user_id), Action.READ)
        account = selectors.find_account(self.actor, number)
        if account is None:
            raise NotFound(f"user {number} not found")
        return Response(render_user(account))

    @extend_schema(request=ProfileBody)
    def put(self, request: Request, user_id: str) -> Response:
        """Replace the profile."""
        number = _own_or(self.require_login(), requested_id("user_id", user_id), Action.UPDATE)
        _name(self, number, Action.UPDATE)
        if number == self.actor.user_id:
            self.require_password()
        body = ProfileBody(data=request.data)
        body.is_valid(raise_exception=True)
        profile = {key: body.validated_data.get(key) or "" for key in ("email", "realname", "comment")}
        services.update_profile(user_id=number, updated_by=self.actor.name, **profile)
        return Response(status=200)

    def delete(self, _request: Request, user_id: str) -> Response:
        """Delete, softly."""
        require_system(self.actor, Resource.USER, Action.DELETE)
        number = requested_id("user_id", user_id)
        _name(self, number, Action.DELETE)
        services.delete_user(user_id=number, deleted_by=self.actor)
        return Response(status=200)


class UserSysadmin(ApiView):
    """PUT /users/{id}/sysadmin."""

    @extend_schema(request=SysadminBody)
    def put(self, request: Request, user_id: str) -> Response:
        require_system(self.actor, Resource.USER, Action.UPDATE)
        number = requested_id("user_id", user_id)
        _name(self, number, Action.UPDATE)
        body = SysadminBody(data=request.data)
        body.is_valid(raise_exception=True)
        services.set_sysadmin(
            user_id=number,
            is_sysadmin=body.validated_data.get("sysadmin_flag") or False,
            set_by=self.actor.name,
        )
        return Response(status=200)


class UserAuditor(ApiView):
    """Whether a user is a read-only system auditor. Haven's own extension: Harbor has no such role."""

    @extend_schema(request=AuditorBody)
    def put(self, request: Request, user_id: str) -> Response:
        """Make somebody an auditor, who sees everything and changes nothing, or end that; for administrators."""
        require_system(self.actor, Resource.USER, Action.UPDATE)
        number = requested_id("user_id", user_id)
        _name(self, number, Action.UPDATE)
        body = AuditorBody(data=request.data)
        body.is_valid(raise_exception=True)
        services.set_auditor(
            user_id=number,
            is_auditor=body.validated_data["auditor_flag"],
            set_by=self.actor.name,
        )
        return Response(status=200)


class UserPassword(ApiView):
    """PUT /users/{id}/password: one's own with the old one, or for administrators anybody's."""

    is_of_own_account = True
    works_before_password_change = True

    @extend_schema(request=PasswordBody)
    def put(self, request: Request, user_id: str) -> Response:
        actor = self.require_login()
        self.require_password()
        number = _own_or(actor, requested_id("user_id", user_id), Action.UPDATE)
        _name(self, number, Action.UPDATE)
        body = PasswordBody(data=request.data)
        body.is_valid(raise_exception=True)
        new = body.validated_data.get("new_password") or ""
        if number != actor.user_id:
            if isinstance(request.auth, LiveSession) and request.auth.must_change_password:
                raise Forbidden("change your own password first")
            services.reset_password(user_id=number, password=new, reset_by=actor.name)
            return Response(status=200)
        services.change_own_password(
            user_id=number,
            old=body.validated_data.get("old_password") or "",
            new=new,
            address=request.META.get("REMOTE_ADDR", ""),
        )
        response = Response(status=200)
        if isinstance(request.auth, LiveSession):  # every session of the old password ended; this browser keeps one
            again = replace(actor, epoch=actor.epoch + 1)
            value = open_session(again, address=request.META.get("REMOTE_ADDR", ""))
            set_session_cookie(response, value, is_secure=request.is_secure())
        return response


class UserCliSecret(ApiView):
    """PUT /users/{id}/cli_secret: only where people log in by OIDC."""

    @NO_BODY
    def put(self, _request: Request, user_id: str) -> Response:
        requested_id("user_id", user_id)
        self.require_login()
        raise PreconditionRefused("unable to update CLI secret under authmode: db_auth")


def render_user(account: Account) -> dict[str, Any]:
    """UserResp."""
    return {
        "user_id": account.user_id,
        "username": account.username,
        "email": account.email,
        "realname": account.realname,
        "comment": account.comment,
        "sysadmin_flag": account.is_sysadmin,
        "auditor_flag": account.is_auditor,
        "admin_role_in_auth": False,
        "creation_time": timestamp(account.created_at),
        "update_time": timestamp(account.updated_at),
    }


def _name(view: ApiView, user_id: int, action: Action) -> None:
    """Tell the audit log whose account a request changes."""
    account = selectors.find_account(view.actor, user_id, action)
    view.audited_as = account.username if account else ""


def _own_or(actor: Actor, user_id: int, action: Action) -> int:
    """The id, when it is the actor's own or the actor may do `action` with any. Raises Forbidden."""
    if user_id != actor.user_id:
        require_system(actor, Resource.USER, action)
    return user_id
