"""From the outbox into the audit log, and on to a syslog server."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from haven_core.audit.entries import Entry, entry_of
from haven_core.audit.models import AuditLog
from haven_core.audit.syslog import send
from haven_core.configuration import selectors as configuration
from haven_core.configuration.keys import split_words
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.events import delivery
from haven_core.events.delivery import Delivery
from haven_core.projects.models import Project

CONSUMER = "audit"
BATCHES_PER_RUN = 200

_log = logging.getLogger("haven.audit")
_COLUMNS = (
    "event_id", "op_time", "username", "address", "operation", "resource_type", "resource", "project_id",
    "description", "is_success",
)  # fmt: skip


def consume() -> int:
    """Write down what has happened since the last time; returns the number of events looked at. Any number of processes
    may run this at once: a batch is written with the move of the cursor, in one transaction, by one of them.

    To syslog lines go at least once where the database is skipped (the cursor waits for the server), else at best once.
    """
    seen = 0
    for _ in range(BATCHES_PER_RUN):
        batch = delivery.waiting(CONSUMER)
        if not batch.events or not _settle(batch):
            break
        seen += len(batch.events)
    return seen


def _settle(batch: Delivery) -> bool:
    entries = [entry for entry in map(entry_of, batch.events) if entry is not None and _is_wanted(entry)]
    endpoint = configuration.value("audit_log_forward_endpoint")
    is_skipped = configuration.value("skip_audit_log_database") and bool(endpoint)
    if is_skipped and not _forward(endpoint, entries):
        return False
    projects = {} if is_skipped else _project_ids(entries)

    def write() -> bool:
        if not delivery.take(batch):
            return False
        if not is_skipped and entries:
            rows = [_row(entry, projects) for entry in entries]
            backend.insert(AuditLog, _COLUMNS, rows, on_conflict="(event_id) DO NOTHING")
        return True

    is_ours = run_write(write)
    if is_ours and endpoint and not is_skipped:
        _forward(endpoint, entries)
    return is_ours


def _is_wanted(entry: Entry) -> bool:
    if entry.operation == "pull" and configuration.value("pull_audit_log_disable"):
        return False
    return entry.event_type not in split_words(configuration.value("disabled_audit_log_event_types"))


def _project_ids(entries: Iterable[Entry]) -> Mapping[str, int]:
    """Ids of the projects that entries name; of those that share a name, all but one deleted, the newest."""
    names = {entry.project for entry in entries if isinstance(entry.project, str)}
    found = Project.objects.filter(name__in=names).order_by("id").values_list("name", "id") if names else ()
    return dict(found)


def _row(entry: Entry, projects: Mapping[str, int]) -> tuple[object, ...]:
    project_id = projects.get(entry.project) if isinstance(entry.project, str) else entry.project
    return (
        entry.event_id, entry.op_time, entry.username, entry.address, entry.operation, entry.resource_type,
        entry.resource, project_id, entry.description, entry.is_success,
    )  # fmt: skip


def _forward(endpoint: str, entries: Sequence[Entry]) -> bool:
    if not entries:
        return True
    try:
        send(endpoint, entries)
    except OSError as error:
        _log.warning("audit log not forwarded to %s: %s", endpoint, error)
        return False
    return True
