"""Deleting the bytes of dead keys."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import write_transaction
from haven_gc.clock import require_right_clock
from haven_registry.models import StorageObject, Upload
from haven_registry.services.purge import BATCH
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import StorageError

CLAIM = timedelta(minutes=5)  # longer than a batch takes; doing it twice is harmless, only wasteful

_log = logging.getLogger("haven.gc")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one batch did: keys whose bytes are gone, and keys that the storage refused to delete for now."""

    removed: int = 0
    failed: int = 0


def sweep(
    driver: StorageDriver, *, until: datetime | None = None, limit: int = BATCH, claim: timedelta = CLAIM
) -> Swept:
    """One batch of dead keys whose time has come (until: had come by then): claim, delete the bytes, forget the rows.

    No transaction is open while the storage works. The claim (purge_after pushed ahead) lets workers share the queue, and
    runs out, so a crash loses nothing; keys are never used again, so a late delete hits nothing else. A key whose bytes
    can't be deleted keeps its row and comes up again when its claim is over.
    Raises ClockWrong. Locks: storage_object (UPDATE, SKIP LOCKED).
    """
    require_right_clock()
    now = timezone.now()
    due = StorageObject.objects.filter(state=StorageObject.DEAD, purge_after__lte=until or now).order_by("purge_after")
    with write_transaction():  # durable, and with it the removal of the blobs: only now may bytes go
        rows = backend.locked(due.values_list("id", "storage_key")[:limit], "UPDATE", skip_locked=True)
        keys: dict[int, str] = dict(rows)
        StorageObject.objects.filter(id__in=keys).update(purge_after=now + claim)
    if not keys:
        return Swept()
    gone = _delete(driver, keys)
    with write_transaction():
        Upload.objects.filter(object_id__in=gone, state=Upload.CANCELLED).delete()
        StorageObject.objects.filter(id__in=gone, state=StorageObject.DEAD).delete()
    return Swept(len(gone), len(keys) - len(gone))


def _delete(driver: StorageDriver, keys: dict[int, str]) -> list[int]:
    """Remove all bytes at the keys, staged or sealed; the ids of those that are gone for certain."""
    gone = dict(keys)
    for upload in Upload.objects.filter(object_id__in=keys, state=Upload.CANCELLED).only("object_id", "staging"):
        try:
            driver.abandon(keys[upload.object_id], upload.staging)
        except StorageError as error:
            _log.warning("what is staged for %s stays for now: %s", keys[upload.object_id], error)
            del gone[upload.object_id]
    try:
        driver.delete(gone.values())
    except StorageError as error:
        _log.warning("%s dead keys stay for now: %s", len(gone), error)
        return []
    return list(gone)
