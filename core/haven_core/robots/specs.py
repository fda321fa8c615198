"""What is asked of a robot, and whether it can be (harbor: handler/robot.go, validate)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from haven_core.domain.rights import Permission
from haven_core.errors import BadRequest
from haven_core.robots.names import MAX_JOINED, is_robot_name
from haven_core.robots.permissions import is_grantable

SYSTEM_LEVEL, PROJECT_LEVEL = "system", "project"
EVERY_PROJECT = "*"
FOREVER = -1

Level = Literal["system", "project"]


@dataclass(frozen=True, slots=True)
class PermissionSpec:
    """Permissions in one place. kind system: namespace '/'; kind project: a project's name or '*'."""

    kind: str
    namespace: str
    access: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """A robot as it is asked for. name: without prefix and project. duration_days: -1 is for ever."""

    name: str
    level: str
    duration_days: int
    permissions: tuple[PermissionSpec, ...]
    description: str = ""
    is_disabled: bool = False

    @property
    def project(self) -> str:
        """The project it belongs to; '' for a system robot. Of a spec that passed check_spec()."""
        return self.permissions[0].namespace if self.level == PROJECT_LEVEL else ""


def check_spec(spec: RobotSpec) -> None:
    """Raises BadRequest for anything that no caller could have."""
    if spec.level not in (SYSTEM_LEVEL, PROJECT_LEVEL):
        raise BadRequest(f"bad request error level input: {spec.level}")
    if not spec.permissions:
        raise BadRequest("bad request empty permission")
    for permission in spec.permissions:
        _check_permission(permission)
    if spec.level == PROJECT_LEVEL:
        only = spec.permissions[0]
        if len(spec.permissions) > 1 or only.kind != PROJECT_LEVEL or only.namespace == EVERY_PROJECT:
            raise BadRequest("a robot of a project has the permissions of exactly one project")
    if not is_robot_name(spec.name, spec.project):
        raise BadRequest(
            "the robot name must have lower-case letters and digits, single '.', '_' or '-' between them, and at "
            f"most {MAX_JOINED} characters together with its project"
        )
    expiry(spec.duration_days, datetime.now(UTC))  # only whether it can be counted


def expiry(duration_days: int, created_at: datetime) -> datetime | None:
    """When a robot ends: so many days after its creation, never with -1. Raises BadRequest."""
    if duration_days == FOREVER:
        return None
    try:
        if duration_days <= 0:
            raise OverflowError
        return created_at + timedelta(days=duration_days)
    except OverflowError:
        raise BadRequest(
            f"bad request error duration input: {duration_days}, duration must be either -1(Never) or a positive integer"
        ) from None


def _check_permission(permission: PermissionSpec) -> None:
    if permission.kind not in (SYSTEM_LEVEL, PROJECT_LEVEL):
        raise BadRequest(f"bad request permission level: {permission.kind}")
    if permission.kind == SYSTEM_LEVEL and permission.namespace not in ("/", ""):
        raise BadRequest("a permission of kind system has the namespace /")
    if not permission.access:
        raise BadRequest("bad request empty access")
    for resource, action in sorted(permission.access):
        if not is_grantable(permission.kind, (resource, action)):
            raise BadRequest(f"bad request permission: {resource}:{action}")
