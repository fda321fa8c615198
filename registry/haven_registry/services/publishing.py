"""Publishing what an upload session received: the session ends, and its repository has the blob."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import DataError, NotSupportedError
from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import encode_digest
from haven_core.db.transactions import ATTEMPTS, run_write
from haven_core.errors import ConcurrentChange, QuotaExceeded
from haven_core.quotas.services import charge, charge_or_fail
from haven_core.visibility import take_away
from haven_registry.models import Upload
from haven_registry.selectors import StoredBlob, find_stored
from haven_registry.services.blobs import link_blobs
from haven_registry.services.repositories import lock_repository, lock_statement
from haven_registry.services.room import with_room
from haven_registry.services.uploads import OpenUpload, cancel_upload, why_not

_INSERT_BLOB = (
    "INSERT INTO blob (digest, size, object_id, created_at) SELECT %s, %s, o.id, %s FROM storage_object o "
    "WHERE o.storage_key = %s AND o.state = 'staged' ON CONFLICT DO NOTHING"
)
# a relaxed commit may be lost, and the version that an address names be given to other bytes: so their digest counts too
_CLOSE = """
UPDATE upload SET state = 'committed', digest = %s, staging = NULL, touched_at = %s
WHERE id = %s AND state = 'open' AND version = %s AND coalesce(prefix_digest, %s) = %s
  AND EXISTS (SELECT 1 FROM repository r WHERE r.id = upload.repository_id AND r.deleted_at IS NULL)
RETURNING object_id, (SELECT b.id FROM blob b WHERE b.digest = %s), (SELECT b.object_id FROM blob b WHERE b.digest = %s)
"""
_CLOSE_AND_LINK = """
WITH closed AS (
  UPDATE upload SET state = 'committed', digest = %s, staging = NULL, touched_at = %s
  WHERE id = %s AND state = 'open' AND version = %s AND coalesce(prefix_digest, %s) = %s
    AND EXISTS (SELECT 1 FROM repository r WHERE r.id = upload.repository_id AND r.deleted_at IS NULL)
  RETURNING object_id, repository_id
), published AS (
  UPDATE storage_object o SET state = 'live', purge_after = NULL FROM closed, blob b
  WHERE o.id = closed.object_id AND b.object_id = o.id AND b.digest = %s
  RETURNING b.id AS blob_id, b.size, closed.repository_id
), charged_for AS (
  INSERT INTO project_blob (project_id, blob_id, size) SELECT %s, blob_id, size FROM published
  ON CONFLICT DO NOTHING RETURNING id
), one AS (
  INSERT INTO repository_blob (repository_id, project_blob_id, keep_until, review_at)
  SELECT repository_id, id, %s, %s FROM published, charged_for RETURNING id
)
"""


def commit_upload(
    *,
    upload: OpenUpload,
    digest: str,
    size: int,
    is_sound: Callable[[StoredBlob], bool] = lambda _: True,
) -> None:
    """Publish the blob and pin it to the repository with a fresh lease; the session becomes a tombstone.

    Before the call the bytes are sealed and durable at upload.key, `size` of them, and were found to have `digest`.
    Bytes that the registry has already are not kept twice: the key dies, the blob is the other's. But is_sound is asked
    first, in no transaction, and when those are gone, torn or marked as damaged, the fresh ones take their place. The
    project is charged when the blob is new to it. Asked again after success (the client lost our answer) it does nothing.

    Raises UploadUnknown, UploadConflict, RepositoryUnknown, QuotaExceeded; after that one the session is cancelled.
    Locks: repository (KEY SHARE), blob (insert; UPDATE to repair), upload, project_blob, repository_blob, project_quota.
    """
    if upload.is_new and _commit_at_once(upload, digest, size):
        return
    known: StoredBlob | None = None
    for _ in range(ATTEMPTS):
        work = partial(_commit, upload, digest, size, known)
        try:
            with_room(partial(run_write, work))
        except _Committed:
            return
        except _BlobStored:
            known = find_stored(digest)
            if known is not None and not known.is_damaged and not is_sound(known):
                known = known._replace(is_damaged=True)
        except QuotaExceeded:
            cancel_upload(upload.id)
            raise
        else:
            return
    raise ConcurrentChange  # pushed and collected again and again


def _commit_at_once(upload: OpenUpload, digest: str, size: int) -> bool:
    """What _commit does for a blob that nobody had, in one message to PostgreSQL, where each costs as much as the statements in
    it. False, and nothing is done, when it can't be said so, or anything is not as one would think: others were
    first, the session changed, there is no room, or little enough to warn of."""
    if not backend.is_postgresql():
        return False
    raw, now = encode_digest(digest), timezone.now()
    until = now + config().upload_lease
    link = (raw, now, *_as_read(upload, raw), raw, upload.project_id, until, until)
    statements = (
        (lock_statement(), (upload.repository_id,)),
        (_INSERT_BLOB, (raw, size, now, upload.key)),
        (_CLOSE_AND_LINK + backend.MUST_BE_ONE, link),
        # a statement of its own: what foreign keys lock comes at the end of a statement, and must come before the quota
        charge_or_fail(upload.project_id, size),
    )
    try:
        run_write(partial(backend.write_at_once, *statements), is_one_statement=True)
    except (DataError, NotSupportedError):
        return False
    return True


def _as_read(upload: OpenUpload, digest: bytes) -> tuple[Any, ...]:
    """Values of the conditions of _CLOSE that the session is as it was read."""
    prefix = encode_digest(upload.prefix_digest) if upload.prefix_digest else digest
    return upload.id, upload.version, prefix, prefix


class _Committed(Exception):
    """The session is a tombstone of these bytes already: nothing is to be written."""


class _BlobStored(Exception):
    """The registry has these bytes, and nobody has looked yet whether they are sound."""


def _commit(upload: OpenUpload, digest: str, size: int, known: StoredBlob | None) -> None:
    raw, now = encode_digest(digest), timezone.now()
    lock_repository(upload.repository_id)
    backend.ahead(_INSERT_BLOB, raw, size, now, upload.key)
    rows = backend.prepared(_CLOSE, raw, now, *_as_read(upload, raw), raw, raw)
    if not rows:
        if Upload.objects.filter(id=upload.id, state=Upload.COMMITTED, digest=digest).exists():
            raise _Committed
        raise why_not(upload)
    [(object_id, blob_id, stored_id)] = rows
    if blob_id is None:
        raise ConcurrentChange  # GC removed the other's blob between the two statements
    is_ours = stored_id == object_id
    if not is_ours and known is None:
        raise _BlobStored
    if not is_ours and known is not None and known.is_damaged:
        is_ours = _repair_blob(blob_id, object_id, known.storage_key, now)
    backend.ahead(
        "UPDATE storage_object SET state = %s, purge_after = %s WHERE id = %s",
        *(("live", None) if is_ours else ("dead", now)), object_id,
    )  # fmt: skip
    # the foreign key of project_blob takes KEY SHARE on the blob, or fails if GC was first
    cost = link_blobs(upload.repository_id, upload.project_id, [(blob_id, size)], now)
    charge(upload.project_id, cost)


def _repair_blob(blob_id: int, object_id: int, damaged_key: str, now: datetime) -> bool:
    """Give the blob our bytes if it still has the damaged ones; those die. Lock: blob (UPDATE)."""
    rows = backend.sql(
        "SELECT o.id FROM storage_object o JOIN blob b ON b.object_id = o.id WHERE b.id = %s AND o.storage_key = %s"
        + backend.lock("UPDATE", "b"),
        blob_id, damaged_key,
    )  # fmt: skip
    if not rows:
        return False  # somebody else's upload repaired it meanwhile
    take_away()  # readers know the damaged bytes
    backend.sql("UPDATE blob SET object_id = %s, damaged_at = NULL WHERE id = %s", object_id, blob_id)
    backend.sql("UPDATE storage_object SET state = 'dead', purge_after = %s WHERE id = %s", now, rows[0][0])
    return True
