"""/projects/{project}/members."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import listing
from haven_api.query import text_parameters
from haven_api.serializers.members import MemberBody, RoleIdBody
from haven_api.views.base import ApiView, requested_id
from haven_api.views.projects import requested_project
from haven_core.domain.conditions import Match
from haven_core.errors import NotFound
from haven_core.members import selectors, services
from haven_core.members.selectors import Member
from haven_core.members.services import Candidate
from haven_core.rbac.permissions import Action, Resource


class _View(ApiView):
    def _name(self, project_id: int, member_id: int) -> None:
        """Tell the audit log who it is about."""
        member = selectors.find_member(project_id, member_id)
        self.audited_as = member.entity_name if member else ""


class Members(_View):
    """The members of a project."""

    @listing("entityname")
    def get(self, request: Request, name_or_id: str) -> Response:
        """List, by name; `entityname` narrows it. X-Total-Count counts what the list holds (Harbor: all members)."""
        project = requested_project(self.actor, request, name_or_id, Resource.MEMBER, Action.LIST)
        query = requested_list(request, *text_parameters(request, entityname=Match.CONTAINS))
        members, total = selectors.list_members(project, query)
        return list_response(request, query, [_render(member) for member in members], total)

    @extend_schema(request=MemberBody)
    def post(self, request: Request, name_or_id: str) -> Response:
        """Add a person or a group."""
        project = requested_project(self.actor, request, name_or_id, Resource.MEMBER, Action.CREATE)
        body = MemberBody(data=request.data)
        body.is_valid(raise_exception=True)
        person = body.validated_data.get("member_user") or {}
        group = body.validated_data.get("member_group") or {}
        member_id = services.add_member(
            project=project,
            candidate=Candidate(
                user_id=person.get("user_id") or 0,
                group_id=group.get("id") or 0,
                username=person.get("username") or "",
                group_name=group.get("group_name") or "",
                group_kind=group.get("group_type") or 0,
                ldap_dn=group.get("ldap_group_dn") or "",
            ),
            role_id=body.validated_data.get("role_id") or 0,
            added_by=self.actor,
        )
        self._name(project.project_id, member_id)
        return Response(status=201, headers={"Location": f"/api/v2.0/projects/{name_or_id}/members/{member_id}"})


class OneMember(_View):
    """A membership, by id."""

    def get(self, request: Request, name_or_id: str, member_id: str) -> Response:
        """Read."""
        project = requested_project(self.actor, request, name_or_id, Resource.MEMBER, Action.READ)
        number = requested_id("mid", member_id)
        member = selectors.find_member(project.project_id, number)
        if member is None:
            raise NotFound(f"the project member {number} is not found")
        return Response(_render(member))

    @extend_schema(request=RoleIdBody)
    def put(self, request: Request, name_or_id: str, member_id: str) -> Response:
        """Change the role."""
        project = requested_project(self.actor, request, name_or_id, Resource.MEMBER, Action.UPDATE)
        body = RoleIdBody(data=request.data)
        body.is_valid(raise_exception=True)
        number = requested_id("mid", member_id)
        self._name(project.project_id, number)
        services.change_role(
            project=project,
            member_id=number,
            role_id=body.validated_data.get("role_id") or 0,
            changed_by=self.actor,
        )
        return Response(status=200)

    def delete(self, request: Request, name_or_id: str, member_id: str) -> Response:
        """Remove."""
        project = requested_project(self.actor, request, name_or_id, Resource.MEMBER, Action.DELETE)
        number = requested_id("mid", member_id)
        self._name(project.project_id, number)
        services.remove_member(project=project, member_id=number, removed_by=self.actor)
        return Response(status=200)


def _render(member: Member) -> dict[str, Any]:
    return {
        "id": member.member_id,
        "project_id": member.project_id,
        "entity_name": member.entity_name,
        "role_name": member.role_name,
        "role_id": member.role_id,
        "entity_id": member.entity_id,
        "entity_type": "g" if member.is_group else "u",
    }
