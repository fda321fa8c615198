"""Upload sessions, and what becomes of them. The bytes are the storage driver's; here is only what is known about
them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import DataError, NotSupportedError
from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.db.transactions import ATTEMPTS, run_write
from haven_core.errors import ConcurrentChange, QuotaExceeded
from haven_core.quotas.services import charge, charge_or_fail
from haven_core.visibility import take_away
from haven_registry.errors import RepositoryUnknown, TooManyUploads, UploadConflict, UploadUnknown
from haven_registry.models import StorageObject, Upload
from haven_registry.selectors import StoredBlob, find_stored
from haven_registry.services.blobs import link_blobs
from haven_registry.services.repositories import get_or_create_repository, lock_repository, lock_statement
from haven_registry.services.room import with_room
from haven_registry.storage.driver import StagingState
from haven_registry.storage.keys import new_key

_Values = tuple[Any, ...]
RETRY_SECONDS = 60
"""When whoever has too many sessions open may look again."""
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
_OPEN_UPLOADS = "SELECT count(*) FROM (SELECT 1 FROM upload WHERE owner = %s AND state = 'open' LIMIT %s) AS mine"
_HAS_ROOM = f"({_OPEN_UPLOADS}) < %s"
_INSERT_OBJECT = "INSERT INTO storage_object (storage_key, state, created_at) "
_INSERT_UPLOAD = (
    "INSERT INTO upload (id, repository_id, object_id, state, owner, algorithm, received_bytes, version, created_at, "
    "touched_at) SELECT %s, r.id, o.id, 'open', %s, %s, 0, 0, %s, %s "
)
_ITS_PLACE = "RETURNING repository_id, (SELECT p.project_id FROM repository p WHERE p.id = upload.repository_id)"


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload session as it was when it was read.

    key: where the bytes will be published; '' when the session is a tombstone and its object is gone.
    state: 'open', or 'committed': a tombstone, whose `digest` says what was published, so a repeated PUT gets its 201.
    received_bytes: what is durable. prefix_digest: digest of exactly those bytes, or None when it must be computed
    again.
    staging: the storage driver's own state. version: changes with every recorded progress.
    is_new: nobody had the bytes of the digest that find_upload was asked about, or of the prefix that record_progress recorded;
    False when nobody asked.
    is_carried: it came from its address, and was not read, see haven_registry.v2.carried.
    """

    id: UUID
    repository_id: int
    project_id: int
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
    is_new: bool = field(default=False, compare=False)
    is_carried: bool = field(default=False, compare=False)

    @property
    def is_committed(self) -> bool:
        """Whether this is a tombstone."""
        return self.state == Upload.COMMITTED


def begin_upload(*, project_id: int, repository: str, owner: str, algorithm: str = "sha256") -> OpenUpload:
    """start_upload() in the project's repository of that name, made if need be. Raises ProjectUnknown too."""
    for _ in range(ATTEMPTS):
        try:
            return _open("r.project_id = %s AND r.name = %s", (project_id, repository), owner, algorithm)
        except RepositoryUnknown:
            get_or_create_repository(project_id, repository)
    raise RepositoryUnknown  # deleted as often as it was made


def start_upload(*, repository_id: int, owner: str, algorithm: str = "sha256") -> OpenUpload:
    """Open a session. Its storage_object row is committed before a byte is written to the key, so no byte is ever
    unknown.

    Raises RepositoryUnknown, and TooManyUploads when the owner has max_open_uploads open; of several that begin at once at
    the limit each may find room. Locks: repository (KEY SHARE, by the foreign key).
    """
    return _open("r.id = %s", (repository_id,), owner, algorithm)


def _open(condition: str, values: tuple[Any, ...], owner: str, algorithm: str) -> OpenUpload:
    """In the live repository r that meets the condition, which has these values."""
    upload_id, key, now, limit = uuid4(), new_key(), timezone.now(), config().max_open_uploads
    place, room = (f"{condition} AND r.deleted_at IS NULL", values), (owner, limit, limit)
    insert = _insert_in_one if backend.is_postgresql() else _insert_in_two

    def work() -> backend.Row:
        created = insert(place, room, key, (upload_id, owner, algorithm, now, now))
        if not created:
            has_too_many = backend.sql(_OPEN_UPLOADS, owner, limit)[0][0] >= limit
            raise TooManyUploads(retry_after_seconds=RETRY_SECONDS) if has_too_many else RepositoryUnknown
        return created[0]

    # not durable: a lost session is begun again
    repository_id, project_id = run_write(work, is_durable=False, is_one_statement=backend.is_postgresql())
    return OpenUpload(
        upload_id, repository_id, project_id, key, Upload.OPEN, owner, algorithm, 0, None, None, 0, None, now
    )


def _insert_in_two(place: tuple[str, _Values], room: _Values, key: str, row: _Values) -> list[backend.Row]:
    """The object, and then the upload in the repository r that meets the condition of `place`, whose values are there too.
    room: the values of _HAS_ROOM."""
    condition, values = place
    backend.sql(_INSERT_OBJECT + "VALUES (%s, 'staged', %s)", key, row[-1])
    return backend.sql(
        f"{_INSERT_UPLOAD} FROM repository r, storage_object o WHERE {condition} AND o.storage_key = %s AND {_HAS_ROOM} "
        + _ITS_PLACE,
        *row, *values, key, *room,
    )  # fmt: skip


def _insert_in_one(place: tuple[str, _Values], room: _Values, key: str, row: _Values) -> list[backend.Row]:
    """The same in a statement that SQLite does not know, which needs neither BEGIN nor COMMIT."""
    condition, values = place
    return backend.prepared(
        f"WITH o AS ({_INSERT_OBJECT} SELECT %s, 'staged', %s FROM repository r WHERE {condition} AND {_HAS_ROOM} "
        f"RETURNING id) "
        f"{_INSERT_UPLOAD} FROM repository r, o WHERE {condition} {_ITS_PLACE}",
        key, row[-1], *values, *room, *row, *values,
    )  # fmt: skip


def find_upload(*, upload_id: UUID, repository: str, owner: str, digest: str | None = None) -> OpenUpload:
    """The session, open or committed, in the live repository 'project/name'. Raises UploadUnknown when it is missing or
    cancelled, and just so when it belongs to another repository or owner: an id that leaked is worth nothing. Takes no
    lock. digest: what the caller wants to publish, see OpenUpload.is_new."""
    wanted = encode_digest(digest) if digest else None
    rows = backend.prepared(
        "SELECT u.repository_id, r.project_id, coalesce(o.storage_key, ''), u.state, u.algorithm, u.received_bytes, "
        "u.prefix_digest, u.staging, u.version, u.digest, u.created_at, "
        "EXISTS (SELECT 1 FROM blob b WHERE b.digest = %s) FROM upload u "
        "JOIN repository r ON r.id = u.repository_id AND r.deleted_at IS NULL "
        "LEFT JOIN storage_object o ON o.id = u.object_id "
        "WHERE u.id = %s AND r.full_name = %s AND u.owner = %s AND u.state <> 'cancelled'",
        wanted, upload_id, repository, owner,
    )  # fmt: skip
    if not rows:
        raise UploadUnknown
    repository_id, project_id, key, state, algorithm, received, prefix, staging, version, done, at, is_known = rows[0]
    return OpenUpload(
        upload_id, repository_id, project_id, key, state, owner, algorithm, received,
        decode_digest(prefix) if prefix else None, json.loads(staging) if staging else None, version,
        decode_digest(done) if done else None, backend.as_datetime(at), wanted is not None and not is_known,
    )  # fmt: skip


def record_progress(
    upload: OpenUpload, *, received_bytes: int, prefix_digest: str | None, staging: StagingState | None
) -> OpenUpload:
    """What is durable now, by compare-and-set: of two requests that wrote to the same session one is counted, the other
    told. Also keeps the session from being reaped; a request that takes longer than upload_ttl must call it meanwhile.

    Raises UploadConflict (the session changed since `upload` was read), UploadUnknown (it is closed or gone),
    RepositoryUnknown.
    Lock: upload (NO KEY UPDATE).
    """

    def work() -> OpenUpload:
        prefix = encode_digest(prefix_digest) if prefix_digest else None
        changed = backend.prepared(
            "UPDATE upload SET received_bytes = %s, prefix_digest = %s, staging = %s, version = version + 1, "
            "touched_at = %s WHERE id = %s AND state = 'open' AND version = %s "
            "AND EXISTS (SELECT 1 FROM repository r WHERE r.id = upload.repository_id AND r.deleted_at IS NULL) "
            "RETURNING EXISTS (SELECT 1 FROM blob b WHERE b.digest = %s)",
            received_bytes, prefix, json.dumps(staging) if staging is not None else None, timezone.now(),
            upload.id, upload.version, prefix,
        )  # fmt: skip
        if not changed:
            raise _why_not(upload)
        return replace(
            upload, received_bytes=received_bytes, prefix_digest=prefix_digest, staging=staging,
            version=upload.version + 1, is_carried=False,
            is_new=not changed[0][0] if prefix else upload.is_new and not upload.is_carried,
        )  # fmt: skip

    return run_write(work, is_durable=False, is_one_statement=True)  # the commit that publishes the blob takes it along


def require_current(upload: OpenUpload) -> None:
    """Raises UploadConflict when another request was recorded since `upload` was read, UploadUnknown when the session
    is closed. Whoever has the staged bytes' lock asks this before it cuts them: what it asks can't change meanwhile."""
    if not Upload.objects.filter(id=upload.id, state=Upload.OPEN, version=upload.version).exists():
        raise _why_not(upload)


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
        raise _why_not(upload)
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


def _why_not(upload: OpenUpload) -> Exception:
    """Why the session can't go on as it was read."""
    row = Upload.objects.filter(id=upload.id, state=Upload.OPEN).values_list("version", "prefix_digest").first()
    if row is None:
        return UploadUnknown()
    return UploadConflict() if row != (upload.version, upload.prefix_digest) else RepositoryUnknown()
