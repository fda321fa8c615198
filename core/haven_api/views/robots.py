"""/robots, /permissions; and Haven's own /haven/robots/{id}/secrets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.lists import list_response, requested_list
from haven_api.openapi import LIST
from haven_api.serializers import Boolean, Integer, Several, Text
from haven_api.views.base import ApiView, timestamp
from haven_core.domain.actor import Actor
from haven_core.domain.conditions import Condition, Match
from haven_core.errors import BadRequest, Forbidden, ProjectUnknown, Unauthorized
from haven_core.rbac.permissions import Action
from haven_core.robots import permissions, selectors, services
from haven_core.robots.access import may_in_system, projects_for
from haven_core.robots.names import parse_login
from haven_core.robots.selectors import RobotView
from haven_core.robots.specs import FOREVER, PROJECT_LEVEL, SYSTEM_LEVEL, PermissionSpec, RobotSpec, check_spec

_MAX_PERMISSIONS = 1000  # places a robot has rights in; each is a row


class RobotAccessBody(serializers.Serializer[Any]):
    resource = Text(max_length=64)
    action = Text(max_length=64)
    effect = Text(required=False, allow_null=True, max_length=64)


class RobotPermissionBody(serializers.Serializer[Any]):
    kind = Text(required=False, default="", max_length=64)
    namespace = Text(required=False, default="", max_length=255)
    access = Several(child=RobotAccessBody(), required=False, allow_null=True)


class RobotBody(serializers.Serializer[Any]):
    """RobotCreate, Robot. What is not listed is dropped: nobody gives a robot its expiry, creator or secret this way."""

    name = Text(required=False, default="", max_length=600)
    level = Text(required=False, default="", max_length=64)
    description = Text(required=False, default="", allow_null=True, max_length=10_000)
    duration = Integer(required=False, allow_null=True)
    disable = Boolean(required=False, default=False, allow_null=True)
    permissions = Several(child=RobotPermissionBody(), required=False, allow_null=True)


class RobotSecretBody(serializers.Serializer[Any]):
    secret = Text(required=False, default="", allow_null=True, max_length=1000)


class RobotOverlapBody(serializers.Serializer[Any]):
    overlap_hours = Integer(min_value=1)


class Robots(ApiView):
    """The collection."""

    @LIST
    def get(self, request: Request) -> Response:
        """List system robots, or with q=Level=project,ProjectID=N those of a project."""
        actor = self.require_login()
        query = requested_list(request)
        project_id = _listed_project({condition.key: condition for condition in query.conditions})
        _require(actor, project_id, Action.LIST)
        query = replace(query, conditions=tuple(map(_by_own_name, query.conditions)))
        views, total = selectors.list_robots(actor, Action.LIST, project_id, query)
        return list_response(request, query, [render_robot(view) for view in views], total)

    @extend_schema(request=RobotBody)
    def post(self, request: Request) -> Response:
        """Create; the only answer that holds the secret."""
        actor = self.require_login()
        sent = _validated(RobotBody, request)
        spec = _spec(sent, name=sent["name"], duration_days=sent.get("duration") or 0)
        check_spec(spec)
        self.audited_in = _require(actor, spec.project or None, Action.CREATE)
        made = services.create_robot(actor, spec)
        self.audited_as = made.name
        body = {
            "id": made.robot_id,
            "name": made.name,
            "secret": made.secret,
            "creation_time": timestamp(made.created_at),
            "expires_at": _seconds(made.expires_at),
        }
        return Response(body, status=201, headers={"Location": f"/api/v2.0/robots/{made.robot_id}", **_NO_STORE})


class _View(ApiView):
    def _found(self, robot_id: int, action: Action) -> RobotView:
        """The robot, for who may do `action` with it; the audit log is told which one. Raises as find_robot."""
        view = selectors.find_robot(self.require_login(), robot_id, action)
        self.audited_as, self.audited_in = view.name, view.project_id
        return view


class OneRobot(_View):
    """A robot by its id."""

    def get(self, _request: Request, robot_id: int) -> Response:
        """Read."""
        return Response(render_robot(selectors.find_robot(self.require_login(), robot_id)))

    @extend_schema(request=RobotBody)
    def put(self, request: Request, robot_id: int) -> Response:
        """Replace description, state, duration and permissions. Name, level and project stay (400)."""
        actor = self.require_login()
        view = self._found(robot_id, Action.UPDATE)
        sent = _validated(RobotBody, request)
        if sent["level"] != view.level or sent["name"] != view.name:
            raise BadRequest("cannot update the level or name of robot")
        duration = sent.get("duration")
        spec = _spec(
            sent, name=_own_name(view.name), duration_days=view.duration_days if duration is None else duration
        )
        services.update_robot(actor, robot_id, spec, name=view.name)
        return Response(status=200)

    @extend_schema(request=RobotSecretBody)
    def patch(self, request: Request, robot_id: int) -> Response:
        """A new secret: the one sent, or a generated one, which is answered."""
        actor = self.require_login()
        self._found(robot_id, Action.UPDATE)
        secret = services.replace_secret(actor, robot_id, _validated(RobotSecretBody, request)["secret"] or "")
        return Response({"secret": secret}, headers=_NO_STORE)

    def delete(self, _request: Request, robot_id: int) -> Response:
        """Delete."""
        actor = self.require_login()
        view = self._found(robot_id, Action.DELETE)
        services.delete_robot(actor, robot_id, name=view.name)
        return Response(status=200)


class RobotSecrets(_View):
    """The live secrets of a robot, while they are exchanged (Haven's own)."""

    def get(self, _request: Request, robot_id: int) -> Response:
        """List them, without what they are: since when, until when, last used when and from where."""
        selectors.find_robot(self.require_login(), robot_id)
        return Response([_render_secret(secret) for secret in selectors.list_secrets(robot_id)])

    @extend_schema(request=RobotOverlapBody)
    def post(self, request: Request, robot_id: int) -> Response:
        """Add a generated one; the others live for overlap_hours more."""
        actor = self.require_login()
        self._found(robot_id, Action.UPDATE)
        hours = _validated(RobotOverlapBody, request)["overlap_hours"]
        made = services.add_secret(actor, robot_id, overlap=timedelta(hours=min(hours, _MANY_HOURS)))
        location = f"/api/v2.0/haven/robots/{robot_id}/secrets/{made.secret_id}"
        body = {"id": made.secret_id, "secret": made.secret}
        return Response(body, status=201, headers={"Location": location, **_NO_STORE})


class OneRobotSecret(_View):
    """One of them."""

    def delete(self, _request: Request, robot_id: int, secret_id: int) -> Response:
        """End it now."""
        actor = self.require_login()
        self._found(robot_id, Action.UPDATE)
        services.revoke_secret(actor, robot_id, secret_id)
        return Response(status=200)


class Permissions(ApiView):
    """GET /permissions: what robots can be given. Both lists for administrators, the projects' for project admins."""

    def get(self, _request: Request) -> Response:
        actor = self.require_login()
        if actor.is_robot or not (actor.sees_everything or projects_for(actor, Action.CREATE).exists()):
            raise Forbidden
        body = {"project": _render_permissions(permissions.PROJECT)}
        if actor.sees_everything:
            body["system"] = _render_permissions(permissions.SYSTEM)
        return Response(body)


_NO_STORE = {"Cache-Control": "no-store"}
_MANY_HOURS = 1_000_000  # more than any overlap may be, and a timedelta holds it


def render_robot(view: RobotView) -> dict[str, Any]:
    """A robot as Harbor's API shows it."""
    return {
        "id": view.robot_id,
        "name": view.name,
        "description": view.description,
        "level": view.level,
        "duration": view.duration_days,
        "editable": True,
        "disable": view.is_disabled,
        "expires_at": _seconds(view.expires_at),
        "creation_time": timestamp(view.created_at),
        "update_time": timestamp(view.updated_at),
        "creator_type": view.creator_type,
        "creator_ref": view.creator_id,
        "permissions": [
            {"kind": one.kind, "namespace": one.namespace, "access": _render_permissions(one.access)}
            for one in view.permissions
        ],
    }


def _require(actor: Actor, project: int | str | None, action: Action) -> int | None:
    """Let pass who may do `action` with the robots of a project (by id or name), or (None) with the system's; returns the
    project's id.

    A missing project is answered as a hidden one (Forbidden), but to who sees everything (ProjectUnknown).
    """
    if project is None:
        if not may_in_system(actor, action):
            raise Unauthorized if actor.is_anonymous else Forbidden
        return None
    by = {"pk": project} if isinstance(project, int) else {"name": project}
    project_id = projects_for(actor, action).filter(**by).values_list("pk", flat=True).first()
    if project_id is None:
        raise ProjectUnknown if actor.sees_everything else Forbidden
    return project_id


def _listed_project(query: Mapping[str, Condition]) -> int | None:
    level = query["level"].value if "level" in query else SYSTEM_LEVEL
    if level not in (SYSTEM_LEVEL, PROJECT_LEVEL):
        raise BadRequest(f"bad request error level input: {level}")
    if level == SYSTEM_LEVEL:
        return None
    if "project_id" not in query:
        raise BadRequest("must with project ID when to query project robots")
    text = query["project_id"].value
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"invalid project ID {text[:32]}")
    return int(text)


def _by_own_name(condition: Condition) -> Condition:
    """Robots are found by what they log in as, too."""
    if condition.key != "name" or condition.match is not Match.EXACT:
        return condition
    return replace(condition, values=(_own_name(condition.value),))


def _own_name(login: str) -> str:
    """A robot's own name out of whatever of `robot$project+name` was given."""
    parsed = parse_login(login)
    return parsed.name if parsed else login.rpartition("+")[2]


def _validated(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    validated: dict[str, Any] = body.validated_data
    return validated


def _spec(sent: Mapping[str, Any], *, name: str, duration_days: int) -> RobotSpec:
    places = sent.get("permissions") or []
    if len(places) > _MAX_PERMISSIONS:
        raise BadRequest(f"a robot has permissions in at most {_MAX_PERMISSIONS} places")
    return RobotSpec(
        name=name,
        level=sent["level"],
        description=sent["description"] or "",
        duration_days=duration_days,
        is_disabled=bool(sent["disable"]),
        permissions=tuple(
            PermissionSpec(one["kind"], one["namespace"], frozenset(map(_permission, one.get("access") or [])))
            for one in places
        ),
    )


def _permission(access: Mapping[str, Any]) -> tuple[str, str]:
    """A pair. Harbor's `effect` can be "deny"; nothing here denies, so it is refused and not taken for a grant."""
    if access.get("effect") not in (None, "", "allow"):
        raise BadRequest(f"bad request permission effect: {access['effect']}")
    return access["resource"], access["action"]


def _render_permissions(pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"resource": resource, "action": action} for resource, action in pairs]


def _render_secret(secret: selectors.SecretView) -> dict[str, Any]:
    return {
        "id": secret.secret_id,
        "creation_time": timestamp(secret.created_at),
        "expires_at": _seconds(secret.expires_at),
        "last_used_time": timestamp(secret.last_used_at) if secret.last_used_at else None,
        "last_used_from": secret.last_used_from,
    }


def _seconds(moment: Any) -> int:
    """Unix time; -1 for never."""
    return int(moment.timestamp()) if moment else FOREVER
