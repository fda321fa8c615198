"""/usergroups, and who is in a group (Haven)."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response
from haven_api.openapi import paged
from haven_api.paging import requested_page
from haven_api.query import text_parameters
from haven_api.serializers.members import PeopleBody, UserGroupBody
from haven_api.views.base import ApiView, requested_id
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import BadRequest, NotFound
from haven_core.groups import selectors, services
from haven_core.groups.selectors import Group
from haven_core.rbac.permissions import Action, Resource, require_system


class UserGroups(ApiView):
    """The collection; for administrators."""

    @paged("group_name", "ldap_group_dn")
    def get(self, request: Request) -> Response:
        """List, by name."""
        require_system(self.actor, Resource.USER_GROUP, Action.LIST)
        conditions = text_parameters(request, group_name=Match.CONTAINS, ldap_group_dn=Match.EXACT)
        query = _query(request, *conditions)
        groups, total = selectors.list_groups(self.actor, query)
        return list_response(request, query, [_render(group) for group in groups], total)

    @extend_schema(request=UserGroupBody)
    def post(self, request: Request) -> Response:
        """Create."""
        require_system(self.actor, Resource.USER_GROUP, Action.CREATE)
        sent = _sent(request)
        name, kind = sent.get("group_name") or "", sent.get("group_type") or 0
        group_id = services.create_group(name=name, kind=kind, created_by=self.actor)
        return Response(status=201, headers={"Location": f"/api/v2.0/usergroups/{group_id}"})


class UserGroupSearch(ApiView):
    """GET /usergroups/search: for whoever is logged in (they make members of them)."""

    @paged(required="groupname")
    def get(self, request: Request) -> Response:
        self.require_login()
        name = request.query_params.get("groupname")
        if name is None:
            raise ValidationError({"groupname": "is required"})
        if not name:
            raise BadRequest("need to provide groupname to search user group")
        query = _query(request, Condition("group_name", Match.CONTAINS, (name,)))
        groups, total = selectors.search_groups(self.actor, query)
        body = [{"id": one.group_id, "group_name": one.name, "group_type": one.kind} for one in groups]
        return list_response(request, query, body, total)


class OneUserGroup(ApiView):
    """A group, by id; for administrators."""

    def get(self, _request: Request, group_id: str) -> Response:
        """Read."""
        require_system(self.actor, Resource.USER_GROUP, Action.READ)
        return Response(_render(_found(self.actor, group_id)))

    @extend_schema(request=UserGroupBody)
    def put(self, request: Request, group_id: str) -> Response:
        """Rename."""
        require_system(self.actor, Resource.USER_GROUP, Action.UPDATE)
        name = _sent(request).get("group_name") or ""
        self.audited_as = _name(self.actor, group_id)
        services.rename_group(group_id=_number(group_id), name=name, renamed_by=self.actor)
        return Response(status=200)

    def delete(self, _request: Request, group_id: str) -> Response:
        """Delete, with its memberships."""
        require_system(self.actor, Resource.USER_GROUP, Action.DELETE)
        self.audited_as = _name(self.actor, group_id)
        services.delete_group(group_id=_number(group_id), deleted_by=self.actor)
        return Response(status=200)


class GroupPeople(ApiView):
    """/haven/usergroups/{id}/members: not in Harbor, where only a directory knows who is in a group."""

    def get(self, _request: Request, group_id: str) -> Response:
        """The ids of who is in it."""
        require_system(self.actor, Resource.USER_GROUP, Action.READ)
        return Response({"user_ids": selectors.people_of(self.actor, _found(self.actor, group_id).group_id)})

    @extend_schema(request=PeopleBody)
    def put(self, request: Request, group_id: str) -> Response:
        """Say who is in it."""
        require_system(self.actor, Resource.USER_GROUP, Action.UPDATE)
        body = PeopleBody(data=request.data)
        body.is_valid(raise_exception=True)
        self.audited_as = _name(self.actor, group_id)
        services.set_people(group_id=_number(group_id), user_ids=body.validated_data["user_ids"], set_by=self.actor)
        return Response(status=200)


def _query(request: Request, *conditions: Condition) -> ListQuery:
    page = requested_page(request)
    return ListQuery(conditions, offset=page.offset, limit=page.size)


def _sent(request: Request) -> dict[str, Any]:
    body = UserGroupBody(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _number(text: str) -> int:
    number = requested_id("group_id", text)
    if number <= 0:
        raise BadRequest("the group id should be provided")
    return number


def _name(actor: Actor, text: str) -> str:
    """The group's name, for the audit log; '' where the caller may not read it, or there is none."""
    group = selectors.find_group(actor, _number(text))
    return group.name if group else ""


def _found(actor: Actor, text: str) -> Group:
    group = selectors.find_group(actor, _number(text))
    if group is None:
        raise NotFound(f"the user group with id {text} is not found")
    return group


def _render(group: Group) -> dict[str, Any]:
    return {
        "id": group.group_id,
        "group_name": group.name,
        "group_type": group.kind,
        "ldap_group_dn": group.ldap_dn,
    }
