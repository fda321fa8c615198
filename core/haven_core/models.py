"""The core's tables, gathered where Django looks for them."""

from haven_core.accounts.models import FailedLogins, Session, User
from haven_core.events.models import OutboxEvent
from haven_core.groups.models import GroupMembership, UserGroup
from haven_core.projects.models import Project, ProjectMember
from haven_core.quotas.models import ProjectQuota
from haven_core.rbac.models import CustomRole
from haven_core.robots.models import Robot, RobotPermission, RobotSecret
from haven_core.tokens.models import SigningKey

__all__ = [
    "CustomRole",
    "FailedLogins",
    "GroupMembership",
    "OutboxEvent",
    "Project",
    "ProjectMember",
    "ProjectQuota",
    "Robot",
    "RobotPermission",
    "RobotSecret",
    "Session",
    "SigningKey",
    "User",
    "UserGroup",
]
