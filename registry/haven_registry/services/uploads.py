"""Upload sessions, and what becomes of them. The bytes are the storage driver's; here is only what is known about
them."""

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError
from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.db.transactions import ATTEMPTS, run_write
from haven_registry.errors import RepositoryUnknown, TooManyUploads, UploadConflict, UploadUnknown
from haven_registry.models import StorageObject, Upload
from haven_registry.services.repositories import get_or_create_repository
from haven_registry.storage.driver import StagingState
from haven_registry.storage.keys import new_key

_Values = tuple[Any, ...]
RETRY_SECONDS = 60
"""When whoever has too many sessions open may look again."""
_OPEN_UPLOADS = "SELECT count(*) FROM (SELECT 1 FROM upload WHERE owner = %s AND state = 'open' LIMIT %s) AS mine"
_HAS_ROOM = f"({_OPEN_UPLOADS}) < %s"
_INSERT_OBJECT = "INSERT INTO storage_object (storage_key, state, created_at) "
_INSERT_UPLOAD = (
    "INSERT INTO upload (id, repository_id, object_id, state, owner, algorithm, created_at, touched_at, received_bytes, "
    "prefix_digest, staging, version) SELECT %s, r.id, o.id, 'open', %s, %s, %s, %s, %s, %s, %s, %s "
)
_AS_RECORDED = (
    "RETURNING repository_id, (SELECT p.project_id FROM repository p WHERE p.id = upload.repository_id), "
    "EXISTS (SELECT 1 FROM blob b WHERE b.digest = upload.prefix_digest)"
)


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
    promised_to: the name below its project of the repository that the session is for, when it has no row yet: so far it was
    told to its client, and nothing else. Its repository_id is 0, and each who reads its address has another key.
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
    promised_to: str = ""

    @property
    def is_promised(self) -> bool:
        """Whether it has no row yet."""
        return self.promised_to != ""

    @property
    def is_committed(self) -> bool:
        """Whether this is a tombstone."""
        return self.state == Upload.COMMITTED


def promise_upload(
    *,
    project_id: int,
    repository: str,
    owner: str,
    algorithm: str = "sha256",
    before: tuple[UUID, datetime] | None = None,
) -> OpenUpload:
    """A session that is not recorded yet, in the project's repository of that name, there or not. Costs nothing. before: id and
    time of one that was promised before, as its address says; it gets another key."""
    upload_id, created_at = before or (uuid4(), timezone.now())
    return OpenUpload(
        upload_id, 0, project_id, new_key(), Upload.OPEN, owner, algorithm, 0, None, None, 0, None, created_at,
        is_carried=before is not None, promised_to=repository,
    )  # fmt: skip


def begin_upload(*, project_id: int, repository: str, owner: str, algorithm: str = "sha256") -> OpenUpload:
    """start_upload() in the project's repository of that name, made if need be. Raises ProjectUnknown too."""
    return record_upload(promise_upload(project_id=project_id, repository=repository, owner=owner, algorithm=algorithm))


def start_upload(*, repository_id: int, owner: str, algorithm: str = "sha256") -> OpenUpload:
    """Open a session. Its storage_object row is committed before a byte is written to the key, so no byte is ever
    unknown.

    Raises RepositoryUnknown, and TooManyUploads when the owner has max_open_uploads open; of several that begin at once at
    the limit each may find room. Locks: repository (KEY SHARE, by the foreign key).
    """
    upload = promise_upload(project_id=0, repository="", owner=owner, algorithm=algorithm)
    return _record("r.id = %s", (repository_id,), upload)


def record_upload(upload: OpenUpload) -> OpenUpload:
    """Keep a promised session as it is, with what record_progress would say of the bytes it has; its repository is made if
    need be. As start_upload(), and raises ProjectUnknown, and UploadConflict when there is a row of this id, of whatever
    state: it was recorded meanwhile, with another key."""
    place = ("r.project_id = %s AND r.name = %s", (upload.project_id, upload.promised_to))
    for _ in range(ATTEMPTS):
        try:
            return _record(*place, upload)
        except RepositoryUnknown:
            get_or_create_repository(upload.project_id, upload.promised_to)
        except (IntegrityError, TooManyUploads):  # the limit is asked for first
            if was_recorded(upload.id):
                raise UploadConflict from None
            raise
    raise RepositoryUnknown  # deleted as often as it was made


def was_recorded(upload_id: UUID, *, since: datetime | None = None) -> bool:
    """Whether there is a row of the session, be it cancelled; since: which was touched after that."""
    rows = Upload.objects.filter(id=upload_id)
    return (rows.filter(touched_at__gte=since) if since else rows).exists()


def cancel_promise(upload: OpenUpload) -> None:
    """cancel_upload() of a session that has no row as far as its address says: it gets one that says so. Whose owner has too
    many open gets none, and the promise goes on. Raises ProjectUnknown."""
    with suppress(TooManyUploads, UploadConflict):
        record_upload(upload)
    cancel_upload(upload.id)


def _record(condition: str, values: _Values, upload: OpenUpload) -> OpenUpload:
    """In the live repository r that meets the condition, which has these values."""
    limit = config().max_open_uploads
    place, room = (f"{condition} AND r.deleted_at IS NULL", values), (upload.owner, limit, limit)
    insert = _insert_in_one if backend.is_postgresql() else _insert_in_two

    def work() -> backend.Row:
        created = insert(place, room, upload.key, _as_row(upload))
        if not created:
            has_too_many = backend.sql(_OPEN_UPLOADS, upload.owner, limit)[0][0] >= limit
            raise TooManyUploads(retry_after_seconds=RETRY_SECONDS) if has_too_many else RepositoryUnknown
        return created[0]

    # not durable: a lost session is begun again
    repository_id, project_id, is_known = run_write(work, is_durable=False, is_one_statement=backend.is_postgresql())
    return replace(
        upload, repository_id=repository_id, project_id=project_id, promised_to="", is_carried=False,
        is_new=upload.prefix_digest is not None and not is_known,
    )  # fmt: skip


def _as_row(upload: OpenUpload) -> _Values:
    """The values of _INSERT_UPLOAD."""
    progress = _as_stored(upload.received_bytes, upload.prefix_digest, upload.staging)
    return upload.id, upload.owner, upload.algorithm, upload.created_at, timezone.now(), *progress, upload.version


def _as_stored(received_bytes: int, prefix_digest: str | None, staging: StagingState | None) -> _Values:
    """The values of received_bytes, prefix_digest and staging in a row."""
    prefix = encode_digest(prefix_digest) if prefix_digest else None
    return received_bytes, prefix, json.dumps(staging) if staging is not None else None


def _insert_in_two(place: tuple[str, _Values], room: _Values, key: str, row: _Values) -> list[backend.Row]:
    """The object, and then the upload in the repository r that meets the condition of `place`, whose values are there too.
    room: the values of _HAS_ROOM. row: those of _INSERT_UPLOAD."""
    condition, values = place
    backend.sql(_INSERT_OBJECT + "VALUES (%s, 'staged', %s)", key, timezone.now())
    return backend.sql(
        f"{_INSERT_UPLOAD} FROM repository r, storage_object o WHERE {condition} AND o.storage_key = %s AND {_HAS_ROOM} "
        + _AS_RECORDED,
        *row, *values, key, *room,
    )  # fmt: skip


def _insert_in_one(place: tuple[str, _Values], room: _Values, key: str, row: _Values) -> list[backend.Row]:
    """The same in a statement that SQLite does not know, which needs neither BEGIN nor COMMIT."""
    condition, values = place
    return backend.prepared(
        f"WITH o AS ({_INSERT_OBJECT} SELECT %s, 'staged', %s FROM repository r WHERE {condition} AND {_HAS_ROOM} "
        f"RETURNING id) "
        f"{_INSERT_UPLOAD} FROM repository r, o WHERE {condition} {_AS_RECORDED}",
        key, timezone.now(), *values, *room, *row, *values,
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
    RepositoryUnknown; of one that was only promised what record_upload raises.
    Lock: upload (NO KEY UPDATE).
    """
    if upload.is_promised:
        return record_upload(
            replace(upload, received_bytes=received_bytes, prefix_digest=prefix_digest, staging=staging, version=1)
        )

    def work() -> OpenUpload:
        progress = _as_stored(received_bytes, prefix_digest, staging)
        changed = backend.prepared(
            "UPDATE upload SET received_bytes = %s, prefix_digest = %s, staging = %s, version = version + 1, "
            "touched_at = %s WHERE id = %s AND state = 'open' AND version = %s "
            "AND EXISTS (SELECT 1 FROM repository r WHERE r.id = upload.repository_id AND r.deleted_at IS NULL) "
            "RETURNING EXISTS (SELECT 1 FROM blob b WHERE b.digest = %s)",
            *progress, timezone.now(), upload.id, upload.version, progress[1],
        )  # fmt: skip
        if not changed:
            raise why_not(upload)
        return replace(
            upload, received_bytes=received_bytes, prefix_digest=prefix_digest, staging=staging,
            version=upload.version + 1, is_carried=False,
            is_new=not changed[0][0] if prefix_digest else upload.is_new and not upload.is_carried,
        )  # fmt: skip

    return run_write(work, is_durable=False, is_one_statement=True)  # the commit that publishes the blob takes it along


def require_current(upload: OpenUpload) -> None:
    """Raises UploadConflict when another request was recorded since `upload` was read, UploadUnknown when the session
    is closed. Whoever has the staged bytes' lock asks this before it cuts them: what it asks can't change meanwhile."""
    if not Upload.objects.filter(id=upload.id, state=Upload.OPEN, version=upload.version).exists():
        raise why_not(upload)


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


def why_not(upload: OpenUpload) -> Exception:
    """Why the session can't go on as it was read."""
    row = Upload.objects.filter(id=upload.id, state=Upload.OPEN).values_list("version", "prefix_digest").first()
    if row is None:
        return UploadUnknown()
    return UploadConflict() if row != (upload.version, upload.prefix_digest) else RepositoryUnknown()
