"""What must hold when a stress run is over: the ledgers, the counts, and nothing left once everything is deleted."""

import time
from collections import Counter
from typing import Any

from django.db.models import F, Model, Sum

from haven_core.db import backend
from haven_core.models import ProjectQuota
from haven_gc import collect, fsck, sweep
from haven_gc.uploads import reap_uploads
from haven_registry.models import (
    Blob,
    Manifest,
    ManifestBlob,
    ManifestChild,
    ProjectBlob,
    PullDaily,
    Repository,
    RepositoryBlob,
    StorageObject,
    Tag,
    TagHistory,
    Upload,
)
from haven_registry.services.pulls import PullCount, apply_pull_batch
from haven_registry.services.repositories import delete_repository
from tests.concurrency.actors import Actor, Missing, pull
from tests.concurrency.world import DIGESTS, Run

TABLES: tuple[type[Model], ...] = (
    Repository, Manifest, ManifestBlob, ManifestChild, Tag, TagHistory, RepositoryBlob, ProjectBlob, Blob, StorageObject,
    Upload, PullDaily,
)  # fmt: skip


def settle(run: Run, deadlocks_before: int) -> dict[str, Any]:
    """Check it all; what is wrong becomes a violation. Returns figures for the report."""
    entries = _check_ledgers(run)
    _check_pulls(run)
    for name, number in fsck.check().items():
        run.violation(name, number=number, when="end")
    for damage in fsck.check_bytes(run.storage()):  # type: ignore[arg-type]
        run.violation("bytes_missing", damage=str(damage), when="end")
    keys = [line["key"] for slot in range(run.actors) for line in run.lines(f"keys-{slot}")]
    if len(keys) != len(set(keys)):
        run.violation("key_reused", number=len(keys) - len(set(keys)))
    rows = {table.__name__: _count(table) for table in TABLES}
    _delete_everything(run)
    time.sleep(1.0 if backend.is_postgresql() else 0)  # its statistics arrive late
    if new := count_deadlocks() - deadlocks_before:
        run.violation("deadlocks_in_server_statistics", number=new)
    return {"ledger_entries": entries, "keys_written": len(keys), "rows_before_deleting_all": rows}


def count_deadlocks() -> int:
    """As the server counts them."""
    if not backend.is_postgresql():
        return 0
    statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return int(backend.sql(statement)[0][0])


def _check_ledgers(run: Run) -> int:
    entries = [entry for slot in range(run.actors) for entry in Actor(run, slot, 0).ledger.values()]
    for entry in entries:
        try:
            pull(run, entry["place"], digest=entry["digest"])
            pull(run, entry["place"], tag=entry["tag"])
        except Missing as error:
            run.violation("ledger_at_end", error=str(error), **entry)
    return len(entries)


def _check_pulls(run: Run) -> None:
    """Offer every batch again, as after a crash: then each is counted exactly once."""
    from datetime import date
    from uuid import UUID

    from django.utils import timezone

    expected = Counter[int]()
    for line in run.lines("pulls"):
        expected[line["repository"]] += line["n"]
        day = date.fromisoformat(line["day"])
        count = PullCount(line["repository"], DIGESTS[0], "t", day, line["n"], timezone.now())
        apply_pull_batch(UUID(line["batch"]), [count])
    totals = PullDaily.objects.values("repository_id").annotate(total=Sum("pulls"))
    found = Counter({row["repository_id"]: row["total"] for row in totals})
    if found != expected:
        run.violation("pulls_miscounted", expected=dict(expected), found=dict(found))


def _delete_everything(run: Run) -> None:
    """Delete all repositories and collect until idle: no row, no byte, no charge may be left."""
    storage = run.storage()
    run.set_windows(upload_lease=0, gc_grace=0, restore_window=0, upload_ttl=0)
    for repository_id in Repository.objects.filter(deleted_at=None).values_list("id", flat=True):
        delete_repository(repository_id)
    Repository.objects.update(purge_after=F("deleted_at"))
    StorageObject.objects.filter(state="dead").update(purge_after=F("created_at"))  # claims of killed sweepers
    idle = 0
    while idle < 3:
        try:
            busy = reap_uploads() + sweep.sweep(storage).removed  # type: ignore[arg-type]
            for project_id in run.project_ids.values():
                busy += not collect.was_idle(collect.collect(project_id, scan=True))
            busy += sum(freed.blobs for freed in collect.purge_unused_blobs())
        except Exception as error:
            run.violation("final_collection_failed", error=repr(error))
            break
        idle = 0 if busy else idle + 1
    left = {table.__name__: count for table in TABLES if (count := _count(table))}
    used = ProjectQuota.objects.aggregate(total=Sum("used_bytes"))["total"]
    files = [found.key for found in storage.list_keys()]
    if left or used or files:
        run.violation("left_over", rows=left, used=used, files=files[:10])


def _count(table: type[Model]) -> int:
    return table._default_manager.count()
