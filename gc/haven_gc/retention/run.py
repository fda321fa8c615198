"""A worker's part of a run of retention: repository after repository, each decided and then emptied of what goes.

Repeating is harmless: a repository that is finished is left alone, and what has gone is found gone.
"""

import logging
from dataclasses import replace
from typing import Any

from django.utils import timezone

from haven_core.db.connections import is_unavailable
from haven_core.domain.retention import Action, Decision
from haven_core.errors import HavenError, TagImmutable
from haven_core.jobs.errors import JobStopped, LeaseLost
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.run import Run
from haven_core.retention.models import RetentionExecution, RetentionTask
from haven_core.retention.policies import KIND
from haven_gc.errors import RetentionFailed
from haven_gc.retention import report
from haven_gc.retention.executions import OPEN, follow_job, record_run
from haven_gc.retention.plan import Plan, Removal, SelectedRepository, plan_repository, select_repositories
from haven_registry.errors import ManifestReferenced, ManifestUnknown, RepositoryUnknown, TagsChanged, TagUnknown
from haven_registry.services.delete import delete_manifest
from haven_registry.services.tags import delete_tag

_log = logging.getLogger("haven.gc")


def register() -> None:
    """At app ready."""
    register_kind(Kind(KIND, run_retention, began=record_run, changed=follow_job))


def run_retention(run: Run) -> dict[str, Any]:
    """One attempt; returns artifacts (tags, where those are judged): total, retained and removed, in a dry run those that
    would be. Nothing when the policy was deleted. Raises RetentionFailed when a repository's part went wrong: then only
    those are tried again."""
    execution = RetentionExecution.objects.select_related("policy").filter(job_id=run.execution_id).first()
    if execution is None:
        return {}
    project_id, tasks = execution.policy.project_id, RetentionTask.objects.filter(execution_id=execution.pk)
    tasks.filter(status__in=(RetentionExecution.ERROR, RetentionExecution.STOPPED)).update(
        status=RetentionExecution.PENDING, ended_at=None
    )
    left = tasks.filter(status__in=OPEN)
    run.phase("repositories", total=left.count())
    selected = {one.id: one for one in select_repositories(project_id, execution.rules)}
    for task in left.defer("log").order_by("id"):
        run.check()
        if _run_task(task, execution, project_id, selected.get(task.repository_id), run):
            run.save(repository=task.repository)
        run.advance()
    if failed := tasks.filter(status=RetentionExecution.ERROR).count():
        raise RetentionFailed(f"{failed} repositories could not be done; the logs of their tasks say why")
    counts = list(tasks.values_list("total", "retained"))
    total, retained = sum(row[0] for row in counts), sum(row[1] for row in counts)
    return {"total": total, "retained": retained, "removed": total - retained}


def _run_task(
    task: RetentionTask, execution: RetentionExecution, project_id: int, repository: SelectedRepository | None, run: Run
) -> bool:
    """Whether it went well; its row says what was done."""
    mine = RetentionTask.objects.filter(id=task.pk)
    now = timezone.now()
    log = report.headline(task.repository, is_dry_run=execution.is_dry_run)
    mine.update(status=RetentionExecution.RUNNING, started_at=now, log=log)
    values: dict[str, object] = {"status": RetentionExecution.SUCCESS}
    try:
        if repository is None:
            log += "The repository is gone.\n"
        else:
            plan = plan_repository(project_id, repository, execution.mode, now)
            log += f"Load {len(plan.decisions)} candidates from repository {task.repository}\n"
            run.info("decided", repository=task.repository, total=len(plan.decisions), removals=len(plan.removals))
            try:
                if execution.is_dry_run:
                    _tell(plan, task.repository, run)
                else:
                    mine.update(log=log)
                    _remove(repository, plan, run)
            finally:  # also of a run that was stopped half way it is told what it did
                gone = sum(one.action is Action.DELETE for one in plan.decisions)
                values |= {"total": len(plan.decisions), "retained": len(plan.decisions) - gone}
                log += report.table(plan.decisions)
    except JobStopped:
        values["status"] = RetentionExecution.STOPPED
        log += "Retention job is stopped\n"
        raise
    except (LeaseLost, KeyboardInterrupt, SystemExit):  # somebody else has it, or goes on when this worker is gone
        values = {}
        raise
    except Exception as error:  # one repository's trouble is not the others'
        if is_unavailable(error):  # the database's is nobody's: the run goes on from here when its lease is over
            values = {}
            raise
        _log.exception("retention of repository %s failed", task.repository_id)
        run.error("failed", repository=task.repository, error=type(error).__name__)
        values["status"] = RetentionExecution.ERROR
        log += f"Retention failed: {type(error).__name__}\n"
    finally:
        if values:
            mine.update(log=log, ended_at=timezone.now(), **values)
    return values["status"] == RetentionExecution.SUCCESS


def _tell(plan: Plan, repository: str, run: Run) -> None:
    """Of a dry run: what would go."""
    for removal in plan.removals:
        run.check()
        run.info("would be removed", **_named(repository, plan, removal))


def _remove(repository: SelectedRepository, plan: Plan, run: Run) -> None:
    """Carry the plan out; its decisions become what happened. Each removal is a transaction of its own."""
    waiting = {number for removal in plan.removals for number in removal.decisions}
    try:
        for removal in plan.removals:
            run.check()
            refused = _remove_one(repository.id, removal)
            waiting.difference_update(removal.decisions)
            named = _named(repository.name, plan, removal)
            if refused is None:
                run.info("removed", **named)
                run.save(repository=repository.name)
            else:
                _decide_anew(plan, removal.decisions, *refused)
                run.info("kept", **{**named, "reason": refused[1]})
    finally:
        _decide_anew(plan, tuple(waiting), Action.RETAIN, "the run ended before it")


def _named(repository: str, plan: Plan, removal: Removal) -> dict[str, Any]:
    tags = [removal.tag] if removal.tag else sorted(removal.tags)
    reason = plan.decisions[removal.decisions[0]].reason
    return {"repository": repository, "digest": removal.digest, "tags": tags, "reason": reason}


def _decide_anew(plan: Plan, numbers: tuple[int, ...], action: Action, reason: str) -> None:
    for number in numbers:
        before: Decision = plan.decisions[number]
        plan.decisions[number] = replace(before, action=action, reason=reason)


def _remove_one(repository_id: int, removal: Removal) -> tuple[Action, str] | None:
    """Into the trash, an artifact with its accessories (ADR 0018); or what keeps it. None: it is gone, whoever removed it."""
    try:
        if removal.tag is None:
            delete_manifest(
                repository_id=repository_id, digest=removal.digest, only_with_tags=removal.tags, with_accessories=True
            )
        else:
            pushed_at = removal.tags[removal.tag]
            delete_tag(repository_id=repository_id, name=removal.tag, only_if_pushed_at=pushed_at)
    except (ManifestUnknown, TagUnknown, RepositoryUnknown):
        return None
    except TagImmutable as refusal:
        return Action.IMMUTABLE, str(refusal)
    except (TagsChanged, ManifestReferenced):
        return Action.RETAIN, "pushed while the run went on"
    except HavenError as error:
        return Action.ERROR, str(error)
    return None
