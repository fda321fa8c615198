"""/haven/roles: the roles a member can have. Not in Harbor, which has its five; a custom role's `role_id` is used in
/projects/{project}/members like theirs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.serializers.members import RoleBody
from haven_api.views.base import ApiView, requested_id
from haven_core.errors import Forbidden, NotFound
from haven_core.rbac import roles
from haven_core.rbac.roles import GrantedRole


class Roles(ApiView):
    """All roles; read by whoever is logged in, changed by administrators."""

    def get(self, _request: Request) -> Response:
        """List, Harbor's first."""
        self.require_login()
        return Response([_render(role) for role in roles.list_roles()])

    @extend_schema(request=RoleBody)
    def post(self, request: Request) -> Response:
        """Create a custom role."""
        _require_administrator(self)
        role_id = roles.create_role(**_sent(request), created_by=self.actor)
        return Response(status=201, headers={"Location": f"/api/v2.0/haven/roles/{role_id}"})


class OneRole(ApiView):
    """A role, by the number members have it by."""

    def get(self, _request: Request, role_id: str) -> Response:
        """Read."""
        self.require_login()
        role = roles.find_role(requested_id("role_id", role_id))
        if role is None:
            raise NotFound(f"the role {role_id} is not found")
        return Response(_render(role))

    @extend_schema(request=RoleBody)
    def put(self, request: Request, role_id: str) -> Response:
        """Replace a custom role."""
        _require_administrator(self)
        self.audited_as = _name(role_id)
        roles.update_role(role_id=requested_id("role_id", role_id), **_sent(request), updated_by=self.actor)
        return Response(status=200)

    def delete(self, _request: Request, role_id: str) -> Response:
        """Delete a custom role that no member has."""
        _require_administrator(self)
        self.audited_as = _name(role_id)
        roles.delete_role(role_id=requested_id("role_id", role_id), deleted_by=self.actor)
        return Response(status=200)


def _name(role_id: str) -> str:
    """The role's name, for the audit log; '' when there is none."""
    role = roles.find_role(requested_id("role_id", role_id))
    return role.name if role else ""


def _require_administrator(view: ApiView) -> None:
    if not view.require_login().is_sysadmin:
        raise Forbidden


def _sent(request: Request) -> dict[str, Any]:
    body = RoleBody(data=request.data)
    body.is_valid(raise_exception=True)
    sent = body.validated_data
    return {
        "name": sent["name"],
        "description": sent.get("description", ""),
        "permissions": [f"{one['resource']}:{one['action']}" for one in sent["permissions"]],
    }


def _render(role: GrantedRole) -> dict[str, Any]:
    return {
        "role_id": role.role_id,
        "name": role.name,
        "description": role.description,
        "is_builtin": role.custom_role_id is None,
        "permissions": [
            {"resource": str(resource), "action": str(action)} for resource, action in sorted(role.permissions)
        ],
    }
