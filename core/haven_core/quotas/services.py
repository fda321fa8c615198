"""Charging a project."""

from haven_core.db import backend
from haven_core.errors import QuotaExceeded


def charge(project_id: int, delta: int) -> None:
    """Add `delta` bytes to what the project uses; the last statement of a write transaction.

    Locks: the project_quota row, from here to the end of COMMIT. One conditional UPDATE tests and charges, so two pushes
    can't both take the last room. Raises QuotaExceeded, with nothing charged.
    """
    if delta == 0:
        return
    if delta < 0:
        backend.sql("UPDATE project_quota SET used_bytes = used_bytes + %s WHERE project_id = %s", delta, project_id)
        return
    charged = backend.sql(
        "UPDATE project_quota SET used_bytes = used_bytes + %s WHERE project_id = %s "
        "AND (hard_bytes IS NULL OR used_bytes + %s <= hard_bytes) RETURNING 1",
        delta, project_id, delta,
    )  # fmt: skip
    if not charged:
        rows = backend.sql("SELECT used_bytes, hard_bytes FROM project_quota WHERE project_id = %s", project_id)
        used, limit = rows[0] if rows else (0, 0)
        raise QuotaExceeded(project_id, delta, used, limit or 0)
