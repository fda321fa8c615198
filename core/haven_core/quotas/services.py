"""Charging a project, and setting what it may use."""

from django.utils import timezone

from haven_core.configuration import selectors as configuration
from haven_core.configuration.keys import MAX_STORAGE_BYTES
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest, NotFound, QuotaExceeded
from haven_core.events.outbox import publish
from haven_core.quotas.models import ProjectQuota

UNLIMITED = -1
WARNING_PERCENT = 85

_ADD = "UPDATE project_quota SET used_bytes = used_bytes + %s WHERE project_id = %s "
_ADD_OR_FAIL = (
    f"WITH one AS ({_ADD} AND (hard_bytes IS NULL OR (used_bytes + %s <= hard_bytes "
    "AND (used_bytes * 100 < hard_bytes * %s) = ((used_bytes + %s) * 100 < hard_bytes * %s))) RETURNING 1) "
    + backend.MUST_BE_ONE
)


def charge(project_id: int, delta: int) -> None:
    """Add `delta` bytes to what the project uses; the last statement of a write transaction.

    Locks: the project_quota row, from here to the end of COMMIT. One conditional UPDATE tests and charges, so two pushes
    can't both take the last room. Whoever brings the project over WARNING_PERCENT of its limit also publishes
    quota.warned. While quotas are switched off everything fits. Raises QuotaExceeded, with nothing charged.
    """
    if delta == 0:
        return
    if delta < 0:
        backend.ahead(_ADD, delta, project_id)
        return
    charged = backend.prepared(
        _ADD + "AND (hard_bytes IS NULL OR used_bytes + %s <= hard_bytes) RETURNING used_bytes, hard_bytes",
        delta, project_id, delta,
    )  # fmt: skip
    if charged:
        _warn_when_crossed(project_id, delta, *charged[0])
        return
    if not configuration.value("quota_per_project_enable"):
        backend.sql(_ADD, delta, project_id)
        return
    rows = backend.sql("SELECT used_bytes, hard_bytes FROM project_quota WHERE project_id = %s", project_id)
    used, limit = rows[0] if rows else (0, 0)
    raise QuotaExceeded(project_id, delta, used, limit or 0)


def charge_or_fail(project_id: int, delta: int) -> tuple[str, tuple[int, ...]]:
    """PostgreSQL: a statement, and its values, that does what charge() does when all is well, and else fails with a DataError:
    without room, or little enough to warn of. Then the write begins again, with charge()."""
    return _ADD_OR_FAIL, (delta, project_id, delta, WARNING_PERCENT, delta, WARNING_PERCENT)


def _warn_when_crossed(project_id: int, delta: int, used: int, limit: int | None) -> None:
    if limit is None or not (used - delta) * 100 < limit * WARNING_PERCENT <= used * 100:
        return
    if configuration.value("quota_per_project_enable"):
        publish("quota.warned", timezone.now(), project=project_id, used=used, limit=limit)


def record_exceeded(refusal: QuotaExceeded) -> None:
    """Publish that a push was refused for good; its own transaction is rolled back by then."""
    publish(
        "quota.exceeded", timezone.now(),
        project=refusal.project_id, requested=refusal.requested, used=refusal.used, limit=refusal.limit,
    )  # fmt: skip


def parse_limit(storage: int) -> int | None:
    """Harbor's number of bytes, -1 for unlimited, as hard_bytes. Raises BadRequest."""
    if storage == UNLIMITED:
        return None
    if not 0 < storage <= MAX_STORAGE_BYTES:
        raise BadRequest(f"the storage limit must be -1 (unlimited), or from 1 to {MAX_STORAGE_BYTES} bytes")
    return storage


def default_limit() -> int | None:
    """hard_bytes of a new project nobody chose one for: the key storage_per_project."""
    return parse_limit(configuration.value("storage_per_project"))


def set_limit(*, project_id: int, hard_bytes: int | None) -> None:
    """Set a live project's limit (None: unlimited), also below what it uses: then it takes nothing more until enough is
    deleted. Raises NotFound. Locks: the project_quota row."""

    def write() -> None:
        live = ProjectQuota.objects.filter(project_id=project_id, project__deleted_at=None)
        if not live.update(hard_bytes=hard_bytes, limited_at=timezone.now()):
            raise NotFound(f"quota {project_id} not found")

    run_write(write)
