"""Upload sessions, and what becomes of them. The bytes are the storage driver's; here is only what is known about
them."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.db.transactions import run_write
from haven_core.errors import ConcurrentChange, QuotaExceeded
from haven_core.quotas.services import charge
from haven_registry.errors import RepositoryUnknown, TooManyUploads, UploadConflict, UploadUnknown
from haven_registry.models import StorageObject, Upload
from haven_registry.services.blobs import link_blobs
from haven_registry.services.repositories import hold_repository
from haven_registry.services.room import with_room
from haven_registry.storage.driver import StagingState
from haven_registry.storage.keys import new_key

RETRY_SECONDS = 60
"""When whoever has too many sessions open may look again."""
_OPEN_UPLOADS = "SELECT count(*) FROM (SELECT 1 FROM upload WHERE owner = %s AND state = 'open' LIMIT %s) AS mine"


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload session as it was when it was read.

    key: where the bytes will be published; '' when the session is a tombstone and its object is gone.
    state: 'open', or 'committed': a tombstone, whose `digest` says what was published, so a repeated PUT gets its 201.
    received_bytes: what is durable. prefix_digest: digest of exactly those bytes, or None when it must be computed
    again.
    staging: the storage driver's own state. version: changes with every recorded progress.
    """

    id: UUID
    repository_id: int
    key: str
    state: str
    owner: str
    algorithm: str
    received_bytes: int
    prefix_digest: str | None
    staging: StagingState | None
    version: int
    digest: str | None
    created_at: datetime

    @property
    def is_committed(self) -> bool:
        """Whether this is a tombstone."""
        return self.state == Upload.COMMITTED


def start_upload(*, repository_id: int, owner: str, algorithm: str = "sha256") -> OpenUpload:
    """Open a session. Its storage_object row is committed before a byte is written to the key, so no byte is ever
    unknown.

    Raises RepositoryUnknown, and TooManyUploads when the owner has max_open_uploads open; of several that begin at once at
    the limit each may find room. Locks: repository (KEY SHARE, by the foreign key).
    """
    upload_id, key, now, limit = uuid4(), new_key(), timezone.now(), config().max_open_uploads

    def work() -> None:
        [(object_id,)] = backend.sql(
            "INSERT INTO storage_object (storage_key, state, created_at) VALUES (%s, 'staged', %s) RETURNING id",
            key,
            now,
        )
        created = backend.sql(
            "INSERT INTO upload (id, repository_id, object_id, state, owner, algorithm, received_bytes, version, "
            "created_at, touched_at) SELECT %s, id, %s, 'open', %s, %s, 0, 0, %s, %s FROM repository WHERE id = %s "
            f"AND deleted_at IS NULL AND ({_OPEN_UPLOADS}) < %s RETURNING 1",
            upload_id, object_id, owner, algorithm, now, now, repository_id, owner, limit, limit,
        )  # fmt: skip
        if not created:
            has_too_many = backend.sql(_OPEN_UPLOADS, owner, limit)[0][0] >= limit
            raise TooManyUploads(retry_after_seconds=RETRY_SECONDS) if has_too_many else RepositoryUnknown

    run_write(work, is_durable=False)  # a lost session is begun again
    return OpenUpload(upload_id, repository_id, key, Upload.OPEN, owner, algorithm, 0, None, None, 0, None, now)


def find_upload(*, upload_id: UUID, repository: str, owner: str) -> OpenUpload:
    """The session, open or committed, in the live repository 'project/name'. Raises UploadUnknown when it is missing or
    cancelled, and just so when it belongs to another repository or owner: an id that leaked is worth nothing. Takes no
    lock."""
    rows = backend.prepared(
        "SELECT u.repository_id, coalesce(o.storage_key, ''), u.state, u.algorithm, u.received_bytes, u.prefix_digest, "
        "u.staging, u.version, u.digest, u.created_at FROM upload u "
        "JOIN repository r ON r.id = u.repository_id AND r.deleted_at IS NULL "
        "LEFT JOIN storage_object o ON o.id = u.object_id "
        "WHERE u.id = %s AND r.full_name = %s AND u.owner = %s AND u.state <> 'cancelled'",
        upload_id, repository, owner,
    )  # fmt: skip
    if not rows:
        raise UploadUnknown
    repository_id, key, state, algorithm, received, prefix, staging, version, digest, created_at = rows[0]
    return OpenUpload(
        upload_id, repository_id, key, state, owner, algorithm, received,
        decode_digest(prefix) if prefix else None, json.loads(staging) if staging else None, version,
        decode_digest(digest) if digest else None, backend.as_datetime(created_at),
    )  # fmt: skip


def record_progress(
    upload: OpenUpload, *, received_bytes: int, prefix_digest: str | None, staging: StagingState | None
) -> OpenUpload:
    """What is durable now, by compare-and-set: of two requests that wrote to the same session one is counted, the other
    told. Also keeps the session from being reaped; a request that takes longer than upload_ttl must call it meanwhile.

    Raises UploadConflict (the session changed since `upload` was read), UploadUnknown (it is closed or gone).
    Lock: upload (NO KEY UPDATE).
    """

    def work() -> OpenUpload:
        changed = backend.sql(
            "UPDATE upload SET received_bytes = %s, prefix_digest = %s, staging = %s, version = version + 1, "
            "touched_at = %s WHERE id = %s AND state = 'open' AND version = %s RETURNING version",
            received_bytes, encode_digest(prefix_digest) if prefix_digest else None,
            json.dumps(staging) if staging is not None else None, timezone.now(), upload.id, upload.version,
        )  # fmt: skip
        if not changed:
            raise _why_not(upload)
        return replace(
            upload, received_bytes=received_bytes, prefix_digest=prefix_digest, staging=staging, version=changed[0][0]
        )

    return run_write(work, is_durable=False)  # the commit that publishes the blob takes it along


def require_current(upload: OpenUpload) -> None:
    """Raises UploadConflict when another request was recorded since `upload` was read, UploadUnknown when the session
    is closed. Whoever has the staged bytes' lock asks this before it cuts them: what it asks can't change meanwhile."""
    if not Upload.objects.filter(id=upload.id, state=Upload.OPEN, version=upload.version).exists():
        raise _why_not(upload)


def commit_upload(
    *, upload: OpenUpload, project_id: int, digest: str, size: int, damaged_key: str | None = None
) -> None:
    """Publish the blob and pin it to the repository with a fresh lease; the session becomes a tombstone.

    Before the call the bytes are sealed and durable at upload.key, `size` of them, and were found to have `digest`.
    Bytes that the registry has already are not kept twice: the key dies, the blob is the other's. But when those were
    found to be gone or torn (damaged_key: where they should be), the fresh ones take their place. The project is charged
    when the blob is new to it. Asked again after success (the client lost our answer) it does nothing.

    Raises UploadUnknown, UploadConflict, RepositoryUnknown, QuotaExceeded; after that one the session is cancelled.
    Locks: upload, repository (KEY SHARE), blob, project_blob, repository_blob, project_quota.
    """
    raw = encode_digest(digest)

    def work() -> None:
        now = timezone.now()
        rows = backend.sql(
            "UPDATE upload SET state = 'committed', digest = %s, staging = NULL, touched_at = %s "
            "WHERE id = %s AND state = 'open' AND version = %s RETURNING repository_id, object_id",
            raw, now, upload.id, upload.version,
        )  # fmt: skip
        if not rows:
            if Upload.objects.filter(id=upload.id, state=Upload.COMMITTED, digest=digest).exists():
                return
            raise _why_not(upload)
        [(repository_id, object_id)] = rows
        hold_repository(repository_id)
        blob_id, is_ours = _publish_blob(raw, size, object_id, now, "UPDATE" if damaged_key else "KEY SHARE")
        if not is_ours and damaged_key is not None:
            is_ours = _repair_blob(blob_id, object_id, damaged_key, now)
        backend.sql(
            "UPDATE storage_object SET state = %s, purge_after = %s WHERE id = %s",
            *(("live", None) if is_ours else ("dead", now)), object_id,
        )  # fmt: skip
        cost = link_blobs(repository_id, project_id, [(blob_id, size)], now)
        charge(project_id, cost)

    try:
        with_room(project_id, lambda: run_write(work))
    except QuotaExceeded:
        cancel_upload(upload.id)
        raise


def cancel_upload(upload_id: UUID) -> None:
    """Close an open session for good; the sweeper removes what is staged and then the row. Nothing happens to one
    that is closed already. Lock: upload (NO KEY UPDATE)."""

    def work() -> None:
        now = timezone.now()
        rows = backend.sql(
            "UPDATE upload SET state = 'cancelled', touched_at = %s WHERE id = %s AND state = 'open' "
            "RETURNING object_id",
            now, upload_id,
        )  # fmt: skip
        if rows:
            StorageObject.objects.filter(id=rows[0][0]).update(state=StorageObject.DEAD, purge_after=now)

    run_write(work)


def _publish_blob(raw_digest: bytes, size: int, object_id: int, now: datetime, strength: str) -> tuple[int, bool]:
    """The id of the blob, and whether its bytes are those of `object_id`. Lock: blob (insert, or `strength`)."""
    rows = backend.sql(
        "INSERT INTO blob (digest, size, object_id, created_at) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (digest) DO NOTHING RETURNING id",
        raw_digest, size, object_id, now,
    )  # fmt: skip
    if rows:
        return rows[0][0], True
    rows = backend.sql("SELECT id FROM blob WHERE digest = %s" + backend.lock(strength, "blob"), raw_digest)
    if not rows:
        raise ConcurrentChange  # GC removed the other's blob between the two statements
    return rows[0][0], False


def _repair_blob(blob_id: int, object_id: int, damaged_key: str, now: datetime) -> bool:
    """Give the blob, held FOR UPDATE, our bytes if it still has the damaged ones; those die."""
    rows = backend.sql(
        "SELECT o.id FROM storage_object o JOIN blob b ON b.object_id = o.id WHERE b.id = %s AND o.storage_key = %s",
        blob_id, damaged_key,
    )  # fmt: skip
    if not rows:
        return False  # somebody else's upload repaired it meanwhile
    backend.sql("UPDATE blob SET object_id = %s, damaged_at = NULL WHERE id = %s", object_id, blob_id)
    backend.sql("UPDATE storage_object SET state = 'dead', purge_after = %s WHERE id = %s", now, rows[0][0])
    return True


def _why_not(upload: OpenUpload) -> Exception:
    is_open = Upload.objects.filter(id=upload.id, state=Upload.OPEN).exists()
    return UploadConflict() if is_open else UploadUnknown()
