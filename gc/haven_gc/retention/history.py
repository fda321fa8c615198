"""What the runs of a policy did, for the API."""

from dataclasses import dataclass
from datetime import datetime

from haven_core.jobs.models import Task
from haven_core.retention.models import RetentionExecution, RetentionTask


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """A run."""

    id: int
    policy_id: int
    trigger: str
    is_dry_run: bool
    status: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A run's part in one repository. total, retained: artifacts, or tags where those are judged.
    job_id: of the job's task that does it, with those of all other repositories; '' when that is forgotten."""

    id: int
    execution_id: int
    repository: str
    status: str
    total: int
    retained: int
    started_at: datetime
    ended_at: datetime | None
    job_id: str


def list_executions(policy_id: int, *, offset: int, limit: int) -> tuple[list[ExecutionView], int]:
    """A page of the policy's runs, newest first, and how many there are. Two SQL statements."""
    found = RetentionExecution.objects.filter(policy_id=policy_id)
    columns = ("id", "policy_id", "trigger", "is_dry_run", "status", "started_at", "ended_at")
    page = found.order_by("-id").values_list(*columns)[offset : offset + limit]
    return [ExecutionView(*row) for row in page], found.count()


def has_execution(policy_id: int, execution_id: int) -> bool:
    """Whether the run is one of the policy's."""
    return RetentionExecution.objects.filter(id=execution_id, policy_id=policy_id).exists()


def list_tasks(policy_id: int, execution_id: int, *, offset: int, limit: int) -> tuple[list[TaskView], int]:
    """A page of a run's tasks, by repository, and how many there are. Three SQL statements."""
    found = RetentionTask.objects.filter(execution_id=execution_id, execution__policy_id=policy_id)
    columns = ("id", "execution_id", "repository", "status", "total", "retained", "started_at", "ended_at")
    page = found.order_by("id").values(*columns)[offset : offset + limit]
    jobs = Task.objects.filter(execution_id__in=RetentionExecution.objects.filter(id=execution_id).values("job_id"))
    job_id = "".join(map(str, jobs.values_list("id", flat=True)[:1]))
    return [TaskView(**row, job_id=job_id) for row in page], found.count()


def read_log(policy_id: int, execution_id: int, task_id: int) -> str | None:
    """A task's log so far; None unless policy, run and task belong together."""
    found = RetentionTask.objects.filter(id=task_id, execution_id=execution_id, execution__policy_id=policy_id)
    return found.values_list("log", flat=True).first()
