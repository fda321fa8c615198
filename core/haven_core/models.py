"""The core's tables, gathered where Django looks for them."""

from haven_core.accounts.models import FailedLogins, Session, User
from haven_core.audit.models import AuditLog
from haven_core.configuration.models import Setting, SettingsVersion
from haven_core.cve.models import CveAllowlist
from haven_core.events.models import DeliveryCursor, OutboxEvent
from haven_core.groups.models import GroupMembership, UserGroup
from haven_core.jobs.models import Execution, LogChunk, Pause, Schedule, Task, Worker
from haven_core.labels.models import Label
from haven_core.personal_tokens.models import PersonalToken
from haven_core.policies.models import ImmutableRule
from haven_core.projects.models import Project, ProjectMember
from haven_core.quotas.models import ProjectQuota
from haven_core.rbac.models import CustomRole
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_core.robots.models import Robot, RobotPermission, RobotSecret
from haven_core.tokens.models import SigningKey

__all__ = [
    "AuditLog",
    "CustomRole",
    "CveAllowlist",
    "DeliveryCursor",
    "Execution",
    "FailedLogins",
    "GroupMembership",
    "ImmutableRule",
    "Label",
    "LogChunk",
    "OutboxEvent",
    "Pause",
    "PersonalToken",
    "Project",
    "ProjectMember",
    "ProjectQuota",
    "RetentionExecution",
    "RetentionPolicy",
    "RetentionTask",
    "Robot",
    "RobotPermission",
    "RobotSecret",
    "Schedule",
    "Session",
    "Setting",
    "SettingsVersion",
    "SigningKey",
    "Task",
    "User",
    "UserGroup",
    "Worker",
]
