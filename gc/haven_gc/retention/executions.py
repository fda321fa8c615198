"""Beginning and stopping runs of retention policies. What does one is a job (haven_core.jobs) of kind RETENTION, whose
subject is the policy; a run's rules, and what it finds in each repository, are kept beside it.

Lock order: job_schedule, job_execution, job_task, retention_policy, retention_task, retention_execution.
"""

from contextlib import suppress

from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import NotFound
from haven_core.events.outbox import publish
from haven_core.jobs import services
from haven_core.jobs.dispatch import wake_workers
from haven_core.jobs.errors import ExecutionUnknown
from haven_core.jobs.models import FINAL, Execution
from haven_core.retention.models import RetentionExecution, RetentionPolicy, RetentionTask
from haven_core.retention.policies import KIND
from haven_gc.retention.plan import select_repositories

EXECUTIONS_KEPT = 50  # of a policy, as Harbor
OPEN = (RetentionExecution.PENDING, RetentionExecution.RUNNING)


def start_retention(policy_id: int, *, dry_run: bool, by: str = "") -> int:
    """Begin a run of the policy by hand, and wake a worker; its id. Raises NotFound. Locks: retention_policy (KEY SHARE)."""

    def work() -> tuple[int, list[int]]:
        parameters = {"dry_run": dry_run}
        job_id, task_ids = services.insert_execution(KIND, parameters, subject_id=policy_id, started_by=by)
        run_id = RetentionExecution.objects.filter(job_id=job_id).values_list("id", flat=True).first()
        if run_id is None:
            raise NotFound("retention policy not found")
        return run_id, task_ids

    run_id, task_ids = run_write(work)
    wake_workers(task_ids)
    return run_id


def record_run(job: Execution) -> None:
    """A job was recorded, by hand or by the clock: make its run, with a task for each repository that the rules select,
    and forget the policy's oldest ones. None is made when the policy is gone. Locks: retention_policy (KEY SHARE)."""
    now = timezone.now()
    statement = "SELECT id FROM retention_policy WHERE id = %s" + backend.lock("KEY SHARE", "retention_policy")
    if not backend.sql(statement, job.subject_id):
        return
    policy = RetentionPolicy.objects.filter(id=job.subject_id, project__deleted_at=None).first()
    if policy is None:
        return
    execution = RetentionExecution.objects.create(
        policy_id=policy.pk, job_id=job.pk, trigger=job.trigger, started_by=job.started_by,
        is_dry_run=bool(job.parameters.get("dry_run")), rules=policy.rules, mode=policy.mode, started_at=now,
    )  # fmt: skip
    RetentionTask.objects.bulk_create(
        RetentionTask(execution_id=execution.pk, repository_id=one.id, repository=one.name, started_at=now)
        for one in select_repositories(policy.project_id, policy.rules)
    )
    _forget_old(policy.pk)


def follow_job(job: Execution) -> None:
    """The job's status changed, whoever changed it: the run's is the same. At its end what is left of it has ended, too,
    and whoever wants to know is told."""
    execution = RetentionExecution.objects.select_related("policy").filter(job_id=job.pk).first()
    if execution is None or execution.status == job.status:
        return
    if job.status in FINAL:
        left = RetentionTask.objects.filter(execution_id=execution.pk, status__in=OPEN)
        left.update(status=job.status, ended_at=job.ended_at)
    RetentionExecution.objects.filter(id=execution.pk).update(status=job.status, ended_at=job.ended_at)
    if job.status in FINAL:
        publish(
            "retention.finished", timezone.now(), project=execution.policy.project_id, policy=execution.policy_id,
            execution=execution.pk, status=job.status, dry_run=execution.is_dry_run, by=execution.started_by,
        )  # fmt: skip


def stop_execution(policy_id: int, execution_id: int) -> None:
    """Stop a run: at once when it waits, within two seconds when a worker is at it. What has ended stays as it is.

    Raises NotFound, also for a run of another policy.
    """
    found = RetentionExecution.objects.filter(id=execution_id, policy_id=policy_id).values_list("job_id", flat=True)
    if not found:
        raise NotFound("retention execution not found")
    if found[0] is not None:
        with suppress(ExecutionUnknown):  # it ended so long ago that its job is forgotten
            services.stop_execution(found[0])


def _forget_old(policy_id: int) -> None:
    ended = RetentionExecution.objects.filter(policy_id=policy_id).exclude(status__in=OPEN)
    old = list(ended.order_by("-id").values_list("id", flat=True)[EXECUTIONS_KEPT : EXECUTIONS_KEPT + 500])
    RetentionTask.objects.filter(execution_id__in=old).delete()
    RetentionExecution.objects.filter(id__in=old).delete()
