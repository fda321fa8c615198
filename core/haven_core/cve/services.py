"""Reading and replacing allowlists of CVE ids."""

import json
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from haven_core.cve.models import CveAllowlist
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.errors import BadRequest

MAX_ITEMS = 5000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Allowlist:
    """A list as it is kept; id 0 and the epoch for one that was never set. project_id None: the system's."""

    id: int
    project_id: int | None
    items: tuple[str, ...]
    expires_at: int | None
    created_at: datetime
    updated_at: datetime

    @property
    def in_force(self) -> frozenset[str]:
        """The ids that count now: none of an expired list."""
        is_expired = self.expires_at is not None and self.expires_at <= time.time()
        return frozenset() if is_expired else frozenset(self.items)


def allowlists(project_ids: Collection[int | None]) -> dict[int | None, Allowlist]:
    """The lists that were set, of these projects and, for None, the system's. One statement."""
    wanted = [one for one in project_ids if one is not None]
    conditions = [f"project_id IN ({backend.placeholders(wanted)})"] if wanted else []
    conditions += ["is_system"] if None in project_ids else []
    if not conditions:
        return {}
    read = backend.prepared if len(project_ids) == 1 else backend.sql
    rows = read(
        "SELECT id, project_id, items, expires_at, created_at, updated_at FROM cve_allowlist "
        f"WHERE {' OR '.join(conditions)}",
        *wanted,
    )
    return {
        row[1]: Allowlist(
            row[0], row[1], tuple(json.loads(row[2])), row[3], backend.as_datetime(row[4]), backend.as_datetime(row[5])
        )
        for row in rows
    }


def set_allowlist(*, project_id: int | None, items: Iterable[str], expires_at: int | None) -> None:
    """Replace a list. Raises BadRequest for what is no id, or too many."""
    ids = sorted(set(items))
    if len(ids) > MAX_ITEMS:
        raise BadRequest(f"an allowlist has at most {MAX_ITEMS} CVE ids")
    if wrong := next((one for one in ids if not _ID.fullmatch(one)), None):
        raise BadRequest(f"{wrong[:128]!a} is no CVE id")

    def write() -> None:
        now = timezone.now()
        target = "(is_system) WHERE is_system" if project_id is None else "(project_id)"
        backend.insert(
            CveAllowlist, ["project", "is_system", "items", "expires_at", "created_at", "updated_at"],
            [(project_id, project_id is None, ids, expires_at, now, now)],
            on_conflict=f"{target} DO UPDATE SET items = excluded.items, expires_at = excluded.expires_at, "
            "updated_at = excluded.updated_at",
        )  # fmt: skip

    run_write(write)
