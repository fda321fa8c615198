"""What `haven fsck --repair` mends: breaches that have one right answer in the database itself. Everything may run beside
pushes and garbage collection."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.quotas.models import ProjectQuota
from haven_gc.collect import read_grace
from haven_registry.models import Blob, ManifestBlob, RepositoryBlob, StorageObject, Upload
from haven_registry.services.purge import BATCH
from haven_registry.storage.driver import StorageDriver, StoredObject

ORPHAN_AGE = timedelta(hours=48)
"""Files younger than this may belong to an upload whose row this process does not see yet."""

_USED = """
SELECT coalesce((SELECT sum(size) FROM project_blob WHERE project_id = %s), 0)
     + coalesce((SELECT sum(payload_size) FROM manifest m JOIN repository r ON r.id = m.repository_id
                 WHERE r.project_id = %s), 0)"""


def recount_quotas() -> int:
    """Set what each project uses to the sum of what it has; returns how many were wrong.

    Exact beside pushes: they charge in their last statement, so one that this count does not see waits for the row and
    adds its own afterwards. Locks: project_quota, one at a time.
    """

    def work(project_id: int) -> int:
        quota = ProjectQuota.objects.filter(project_id=project_id)
        if not backend.locked(quota.values_list("project_id"), "NO KEY UPDATE"):
            return 0
        used = int(backend.sql(_USED, project_id, project_id)[0][0])  # after the lock: a new snapshot
        return quota.exclude(used_bytes=used).update(used_bytes=used)

    projects = list(ProjectQuota.objects.order_by("project_id").values_list("project_id", flat=True))
    return sum(run_write(partial(work, project_id)) for project_id in projects)


def review_unreferenced_links() -> int:
    """Have GC look at links that no live manifest names and that wait for nothing; returns how many. A needless look
    does no harm. Locks: repository_blob (NO KEY UPDATE, SKIP LOCKED)."""
    named = ManifestBlob.objects.filter(repository_blob_id=OuterRef("pk"), manifest__deleted_at=None)
    stuck = RepositoryBlob.objects.filter(~Q(Exists(named)), review_at=None, repository__deleted_at=None)

    def work() -> int:
        rows = backend.locked(stuck.order_by("id").values_list("id")[:BATCH], "NO KEY UPDATE", skip_locked=True)
        return RepositoryBlob.objects.filter(id__in=[row[0] for row in rows]).update(review_at=timezone.now())

    return _until_idle(work)


def let_staged_keys_die(driver: StorageDriver) -> int:
    """Staged keys without an open upload: remove what is staged and have the sweeper forget them; returns how many.

    Raises StorageError. Locks: storage_object (UPDATE, SKIP LOCKED).
    """
    used = Upload.objects.filter(object_id=OuterRef("pk"), state=Upload.OPEN)
    lost = StorageObject.objects.filter(~Q(Exists(used)), state=StorageObject.STAGED)
    keys: list[str] = []

    def work() -> int:
        found = _kill(lost, timedelta())
        keys.extend(found)
        return len(found)

    count = _until_idle(work)
    for key in keys:
        driver.abandon(key, None)
    return count


def let_live_keys_die() -> int:
    """Live keys that no blob has: nothing can lead to their bytes any more; returns how many.

    Locks: storage_object (UPDATE, SKIP LOCKED).
    """
    used = Blob.objects.filter(object_id=OuterRef("pk"))
    lost = StorageObject.objects.filter(~Q(Exists(used)), state=StorageObject.LIVE)
    return _until_idle(lambda: len(_kill(lost, read_grace())))


def forget_lost_uploads() -> int:
    """Open uploads without a staged key can't go on: their clients get 404 and begin again; returns how many.

    Locks: upload (UPDATE, SKIP LOCKED).
    """
    staged = StorageObject.objects.filter(id=OuterRef("object_id"), state=StorageObject.STAGED)
    lost = Upload.objects.filter(~Q(Exists(staged)), state=Upload.OPEN)

    def work() -> int:
        ids = [row[0] for row in backend.locked(lost.values_list("id")[:BATCH], "UPDATE", skip_locked=True)]
        return int(lost.filter(id__in=ids).delete()[0])

    return _until_idle(work)


def find_orphans(
    driver: StorageDriver, age: timedelta = ORPHAN_AGE, *, only_staged: bool = False
) -> Iterator[StoredObject]:
    """What has lain in the storage for `age` and no row leads to: published keys that have none, and staged
    bytes that no open upload goes on with. Raises StorageError."""
    limit = timezone.now() - age
    found = (item for item in driver.list_keys(only_staged=only_staged) if item.modified_at <= limit)
    while page := list(islice(found, BATCH)):
        keys = [item.key for item in page]
        known = set(StorageObject.objects.filter(storage_key__in=keys).values_list("storage_key", flat=True))
        open_uploads = Upload.objects.filter(state__in=(Upload.OPEN, Upload.CANCELLED), object__storage_key__in=keys)
        staged = set(open_uploads.values_list("object__storage_key", flat=True))
        yield from (item for item in page if item.key not in (staged if item.is_staged else known))


def remove_orphans(driver: StorageDriver, age: timedelta = ORPHAN_AGE, *, only_staged: bool = False) -> tuple[int, int]:
    """Delete what find_orphans() finds, each after a last look for its row; returns how many, and bytes. A key that has no row
    now gets none later: published bytes had theirs before, keys are never used twice, and staged ones get it within moments, if
    at all. Raises StorageError."""
    count = size = 0
    for item in find_orphans(driver, age, only_staged=only_staged):
        rows = StorageObject.objects.filter(storage_key=item.key)
        if item.is_staged:
            if Upload.objects.filter(object__in=rows, state=Upload.OPEN).exists():
                continue
            driver.abandon(item.key, None)
        else:
            if rows.exists():
                continue
            driver.delete([item.key])
        count, size = count + 1, size + item.size
    return count, size


def _kill(lost: Any, grace: timedelta) -> list[str]:
    rows = backend.locked(lost.order_by("id").values_list("id")[:BATCH], "UPDATE", skip_locked=True)
    doomed = dict(lost.filter(id__in=[row[0] for row in rows]).values_list("id", "storage_key"))
    StorageObject.objects.filter(id__in=doomed).update(state=StorageObject.DEAD, purge_after=timezone.now() + grace)
    return list(doomed.values())


def _until_idle(work: Callable[[], int]) -> int:
    total = 0
    while count := run_write(work):
        total += count
    return total
