"""The core's tables, gathered where Django looks for them."""

from haven_core.accounts.models import User
from haven_core.events.models import OutboxEvent
from haven_core.policies.models import ImmutableRule
from haven_core.projects.models import Project, ProjectMember
from haven_core.quotas.models import ProjectQuota
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_core.tokens.models import SigningKey

__all__ = [
    "ImmutableRule",
    "OutboxEvent",
    "Project",
    "ProjectMember",
    "ProjectQuota",
    "RetentionExecution",
    "RetentionPolicy",
    "RetentionTask",
    "SigningKey",
    "User",
]
