"""Upload sessions that nobody goes on with."""

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.transactions import write_transaction
from haven_gc.clock import require_right_clock
from haven_registry.models import StorageObject, Upload
from haven_registry.services.purge import BATCH


def find_stale(now: datetime) -> "QuerySet[Upload, Upload]":
    """Sessions, open or ended, that nobody touched for upload_ttl. They were created before, which has the index."""
    since = now - config().upload_ttl
    return Upload.objects.filter(created_at__lte=since, touched_at__lte=since)


def reap_uploads(*, limit: int = BATCH) -> int:
    """Cancel sessions nobody touched for upload_ttl, and forget committed ones of that age; returns how many.

    A cancelled session waits for the sweeper, which needs its staging state to remove what is staged. A request that
    writes for longer than upload_ttl must record its progress meanwhile. Raises ClockWrong. Locks: upload (UPDATE, SKIP
    LOCKED).
    """
    require_right_clock()
    now = timezone.now()
    stale = find_stale(now).exclude(state=Upload.CANCELLED)
    with write_transaction():
        rows = backend.locked(stale.values_list("id", "object_id", "state")[:limit], "UPDATE", skip_locked=True)
        expired = [(upload_id, object_id) for upload_id, object_id, state in rows if state == Upload.OPEN]
        tombstones = [upload_id for upload_id, _, state in rows if state == Upload.COMMITTED]
        Upload.objects.filter(id__in=[upload_id for upload_id, _ in expired]).update(state=Upload.CANCELLED)
        StorageObject.objects.filter(id__in=[object_id for _, object_id in expired]).update(
            state=StorageObject.DEAD, purge_after=now
        )
        Upload.objects.filter(id__in=tombstones).delete()
    return len(rows)
