"""Removing old lines of the audit log: Harbor's PURGE_AUDIT_LOG."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from haven_core.audit.models import AuditLog
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest
from haven_core.jobs.kinds import Kind, register_kind
from haven_core.jobs.run import Run

KIND = "PURGE_AUDIT_LOG"
MAX_HOURS = 240_000  # Harbor's; more means this
KEPT_RUNS = 10
BATCH = 1000


def register() -> None:
    """At app ready."""
    register_kind(Kind(KIND, run_purge, keep=KEPT_RUNS, is_exclusive=True))


def checked_parameters(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A purge's parameters: audit_retention_hour, the age beyond which lines go; include_event_types, such as
    `create_artifact,delete_project`, or the older include_operations, such as `create,pull`; dry_run. Raises BadRequest.
    """
    hours, dry_run = sent.get("audit_retention_hour"), sent.get("dry_run", False)
    if type(hours) is not int or hours < 1:
        raise BadRequest("audit_retention_hour must be a number of hours, 1 or more")
    if not isinstance(dry_run, bool):
        raise BadRequest("dry_run must be true or false")
    kept: dict[str, Any] = {"audit_retention_hour": min(hours, MAX_HOURS), "dry_run": dry_run}
    for name in ("include_event_types", "include_operations"):
        text = sent.get(name, "")
        if not isinstance(text, str) or len(text) > 4096 or "\0" in text:
            raise BadRequest(f"{name} must be names joined by commas")
        if words := [word.strip() for word in text.split(",") if word.strip()]:
            kept[name] = ",".join(words)
    if "include_event_types" not in kept and "include_operations" not in kept:
        raise BadRequest("include_event_types names no event type")
    return kept


def run_purge(run: Run) -> dict[str, Any]:
    """One run; returns purged: the number of lines, in a dry run those that would go."""
    parameters = run.parameters
    cutoff = timezone.now() - timedelta(hours=parameters["audit_retention_hour"])
    old = AuditLog.objects.filter(_wanted(parameters), op_time__lt=cutoff)
    total, purged = old.count(), 0
    run.phase("purge", total=total)
    run.info("lines older than the limit", before=cutoff.isoformat(timespec="seconds"), lines=total)
    if parameters.get("dry_run"):
        return {"purged": total}
    while ids := list(old.order_by("id").values_list("id", flat=True)[:BATCH]):
        run.check()
        count = run_write(AuditLog.objects.filter(id__in=ids).delete)[0]
        purged += count
        run.advance(count)
    return {"purged": purged}


def _wanted(parameters: Mapping[str, Any]) -> Q:
    wanted = Q(operation__in=[word for word in parameters.get("include_operations", "").split(",") if word])
    for event_type in parameters.get("include_event_types", "").split(","):
        operation, _, resource_type = event_type.partition("_")
        wanted |= Q(operation=operation, resource_type=resource_type.replace("_", "-"))
    return wanted
