"""The core's tables, gathered where Django looks for them."""

from haven_core.accounts.models import User
from haven_core.events.models import OutboxEvent
from haven_core.jobs.models import Execution, LogChunk, Pause, Schedule, Task, Worker
from haven_core.projects.models import Project, ProjectMember
from haven_core.quotas.models import ProjectQuota
from haven_core.tokens.models import SigningKey

__all__ = [
    "Execution",
    "LogChunk",
    "OutboxEvent",
    "Pause",
    "Project",
    "ProjectMember",
    "ProjectQuota",
    "Schedule",
    "SigningKey",
    "Task",
    "User",
    "Worker",
]
