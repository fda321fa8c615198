"""How a repository comes to use a blob without uploading it, and how it stops."""

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import encode_digest
from haven_core.db.transactions import run_write
from haven_core.errors import ConcurrentChange
from haven_core.quotas.services import charge
from haven_registry import selectors
from haven_registry.errors import BlobReferenced, BlobUnknown
from haven_registry.models import ProjectBlob, RepositoryBlob
from haven_registry.services.delete import hide_blobs
from haven_registry.services.repositories import hold_repository
from haven_registry.services.room import with_room

# greatest() is spelt max() on SQLite; CASE is the same on both
_RENEW_LEASE = """(repository_id, project_blob_id) DO UPDATE SET hidden_at = NULL,
  keep_until = CASE WHEN repository_blob.keep_until < excluded.keep_until
               THEN excluded.keep_until ELSE repository_blob.keep_until END,
  review_at = CASE WHEN repository_blob.review_at IS NULL OR repository_blob.review_at < excluded.review_at
              THEN excluded.review_at ELSE repository_blob.review_at END"""


def mount_blob(*, source_repository_id: int, repository_id: int, project_id: int, digest: str) -> None:
    """Give `repository_id` the use of a blob that another repository shows, with a fresh lease; no byte moves.

    The caller has checked that the source may be pulled from. Raises BlobUnknown (the view answers 202 and the client
    uploads), RepositoryUnknown (the target), QuotaExceeded.
    Locks: repository (KEY SHARE), project_blob, repository_blob, project_quota.
    """

    def work() -> None:
        now = timezone.now()
        hold_repository(repository_id)
        found = selectors.find_blob_in(source_repository_id, digest)
        if found is None:
            raise BlobUnknown([digest])
        # no lock on the source: the foreign key of project_blob takes KEY SHARE on the blob, or fails if GC was first
        cost = link_blobs(repository_id, project_id, [(found.blob_id, found.size)], now)
        charge(project_id, cost)

    with_room(lambda: run_write(work))


def link_blobs(repository_id: int, project_id: int, blobs: Iterable[tuple[int, int]], now: datetime) -> int:
    """Pin (blob_id, size) to the repository with a fresh lease, inside the caller's transaction; the only place where
    project_blob and repository_blob rows come from. Returns the bytes new to the project, still to be charged.

    Raises ConcurrentChange. Locks: project_blob (insert or KEY SHARE, by blob_id), repository_blob (upsert).
    """
    wanted = sorted(set(blobs))
    new = backend.insert(
        ProjectBlob, ["project", "blob", "size"], [(project_id, blob_id, size) for blob_id, size in wanted],
        on_conflict="(project_id, blob_id) DO NOTHING", returning=("id", "blob_id", "size"),
    )  # fmt: skip
    have = {blob_id for _, blob_id, _ in new}
    rest = [blob_id for blob_id, _ in wanted if blob_id not in have]
    old: list[backend.Row] = []
    if rest:
        old = backend.sql(
            f"SELECT id FROM project_blob WHERE project_id = %s AND blob_id IN ({backend.placeholders(rest)}) "
            "ORDER BY blob_id" + backend.lock("KEY SHARE", "project_blob"),
            project_id, *rest,
        )  # fmt: skip
        if len(old) != len(rest):
            raise ConcurrentChange
    until = now + config().upload_lease
    project_blob_ids = sorted(row[0] for row in (*new, *old))
    backend.insert(
        RepositoryBlob, ["repository", "project_blob", "keep_until", "review_at"],
        [(repository_id, project_blob_id, until, until) for project_blob_id in project_blob_ids],
        on_conflict=_RENEW_LEASE, returning=(),
    )  # fmt: skip
    return sum(size for _, _, size in new)


def delete_blob(*, repository_id: int, digest: str) -> None:
    """Take a blob from a repository (distribution-spec end-10): it answers 404 at once. GC frees the room when its
    lease is over, or a push that needs it does; until then a manifest that is being pushed may still name it.

    Raises RepositoryUnknown, BlobUnknown (missing, or not shown any more), BlobReferenced (a live manifest names it).
    Locks: repository (KEY SHARE), repository_blob (NO KEY UPDATE).
    """

    def work() -> None:
        now = timezone.now()
        hold_repository(repository_id)
        rows = backend.sql(
            "SELECT rb.id FROM repository_blob rb JOIN project_blob pb ON pb.id = rb.project_blob_id "
            "JOIN blob b ON b.id = pb.blob_id WHERE rb.repository_id = %s AND b.digest = %s"
            + backend.lock("NO KEY UPDATE", "rb"),
            repository_id, encode_digest(digest),
        )  # fmt: skip
        if not rows:
            raise BlobUnknown([digest])
        [(row_id,)] = rows
        [(is_named, is_shown)] = backend.sql(
            f"SELECT {selectors.IS_NAMED_BY_LIVE_MANIFEST}, rb.hidden_at IS NULL AND rb.keep_until > %s "
            "FROM repository_blob rb WHERE rb.id = %s",
            now + config().head_margin, row_id,
        )  # fmt: skip
        if is_named:
            raise BlobReferenced([digest])
        if not is_shown:
            raise BlobUnknown([digest])
        # a manifest PUT that names it at this moment makes it visible again: hidden_at never outweighs a live manifest
        hide_blobs([row_id], now, now)

    run_write(work)
