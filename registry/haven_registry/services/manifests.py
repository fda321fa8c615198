"""Publishing manifests: PUT."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import DataError
from django.utils import timezone

from haven_core.conf import config
from haven_core.db import backend
from haven_core.db.fields import decode_digest, encode_digest
from haven_core.db.transactions import run_write
from haven_core.domain.origin import Origin
from haven_core.errors import ConcurrentChange
from haven_core.quotas.services import charge, charge_or_fail
from haven_registry import selectors
from haven_registry.artifacts.kinds import accessory_type, artifact_kind, shown_media_type
from haven_registry.errors import ManifestBlobUnknown
from haven_registry.models import Manifest, ManifestBlob, ManifestChild, TagHistory
from haven_registry.oci.manifest import ParsedManifest
from haven_registry.services.repositories import hold_repository, publish_about, show_repository
from haven_registry.services.room import with_room
from haven_registry.services.tags import Change, Target, require_tags, set_tags

MANIFEST_COLUMNS = (
    "repository", "digest", "media_type", "artifact_type", "config_media_type", "kind", "accessory_type",
    "subject_digest", "annotations", "payload", "payload_size", "total_size", "pushed_by", "pushed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PutResult:
    """created: the repository had no such row, live or trashed. moved: tag → other digest that it named before."""

    manifest_id: int
    digest: str
    created: bool
    moved: Mapping[str, str]


def put_manifest(
    *,
    repository: int | str,
    parsed: ParsedManifest,
    payload: bytes,
    digest: str,
    tags: Sequence[str] = (),
    pushed_by: str = "",
    address: str = "",
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> PutResult:
    """Publish a manifest whose blobs and children are in the repository (its id, or full name), and move all `tags` to it, in
    one transaction.

    `digest` is the digest of `payload`, and `parsed` what it says. Blobs count when they are shown or their lease runs,
    children when they are live or were trashed less than gc_grace ago: what a 201 or a HEAD 200 promised is kept. A
    manifest that is in the trash comes back. The subject need not exist (distribution-spec, "Pushing Manifests with
    Subject"). if_match, if_none_match: the headers' values, for the tags (RFC 9110, 13.1); refused, nothing changes.

    Raises RepositoryUnknown, ManifestBlobUnknown (every missing digest), PreconditionFailed, TagImmutable,
    QuotaExceeded.
    Locks: repository (KEY SHARE; NO KEY UPDATE by the first), repository_blob (KEY SHARE), manifest (SHARE, or NO KEY
    UPDATE to revive), tag, quota.
    """
    blobs = {str(blob.digest) for _, blob in parsed.required_blobs}
    children = [str(child.digest) for child in parsed.child_manifests]

    def work(*, is_ahead: bool) -> PutResult:
        now = timezone.now()
        held = hold_repository(repository)
        repository_id, project_id = held.id, held.project_id
        origin = Origin(pushed_by, address)
        show_repository(held, now, origin)
        links = _hold_blobs(repository_id, project_id, blobs, now)
        # without children most are new, and need no look: the insert finds out
        known = hold_manifests(repository_id, children, own=[digest], now=now) if children else {}
        if missing := (blobs - links.keys()) | (set(children) - known.keys()):
            raise ManifestBlobUnknown(missing)
        manifest_id = known.get(digest) or _insert(repository_id, digest, parsed, payload, pushed_by, now)
        created = manifest_id is not None and digest not in known
        if manifest_id is None:
            manifest_id = hold_manifests(repository_id, (), own=[digest], now=now).get(digest)
        if manifest_id is None:
            raise ConcurrentChange  # it was pushed, or purged, between two statements
        if created:
            insert_references(
                manifest_id,
                [(role, links[str(blob.digest)]) for role, blob in parsed.required_blobs],
                [known[child] for child in children],
            )
        absent = require_tags(repository_id, tags, if_match=if_match, if_none_match=if_none_match)
        change = Change(TagHistory.PUSHED, pushed_by, now)
        targets = dict.fromkeys(tags, Target(manifest_id, digest))
        moved = set_tags(held, targets, change, must_be_new=absent)
        publish_about(repository_id, held, "manifest.pushed", now, origin, digest=digest, tags=list(tags))
        if is_ahead and created:
            statement, values = charge_or_fail(project_id, len(payload))
            backend.ahead(statement, *values)
        else:
            charge(project_id, len(payload) if created else 0)
        return PutResult(manifest_id, digest, created, moved)

    if backend.is_postgresql():  # the charge goes with COMMIT
        with suppress(DataError):
            return run_write(partial(work, is_ahead=True))
    return with_room(lambda: run_write(partial(work, is_ahead=False)))


def hold_manifests(repository_id: int, children: Iterable[str], *, own: Iterable[str], now: datetime) -> dict[str, int]:
    """Lock children, and those of `own` that are there already, in one pass by id; revive them from the trash. Ids by
    digest of those that will do; the caller looks what is missing.

    SHARE, because KEY SHARE (what a foreign key takes) would let a delete mark the row at the same time. A child
    trashed less than gc_grace ago is still promised, as a leased blob is, and comes back with its index. A manifest
    pushed again comes back always. Raises ConcurrentChange. Locks: manifest (SHARE; NO KEY UPDATE if any is trashed).
    """
    mine = set(own)
    digests = [encode_digest(digest) for digest in (*children, *mine)]
    read = backend.prepared if len(digests) == 1 else backend.sql
    seen: dict[int, object] = dict(
        read(
            "SELECT id, deleted_at FROM manifest WHERE repository_id = %s "
            f"AND digest IN ({backend.placeholders(digests)})",
            repository_id, *digests,
        )
    )  # fmt: skip
    if not seen:
        return {}
    wanted = Manifest.objects.filter(id__in=seen)
    strength = "NO KEY UPDATE" if any(seen.values()) else "SHARE"
    backend.locked(wanted.order_by("id").values_list("id"), strength)
    # second statement: what they are now that they are held
    rows = list(wanted.values_list("id", "digest", "deleted_at"))
    promised = now - config().gc_grace
    known = {digest: row_id for row_id, digest, at in rows if at is None or digest in mine or at > promised}
    trashed = [row_id for row_id, digest, at in rows if at is not None and digest in known]
    if trashed:
        if strength == "SHARE":
            raise ConcurrentChange  # trashed between look and lock: start over with the stronger one
        Manifest.objects.filter(id__in=trashed).update(deleted_at=None, purge_after=None)
    return known


def insert_references(manifest_id: int, blobs: Sequence[tuple[str, int]], children: Sequence[int]) -> None:
    """What a new manifest names, in order: (role, repository_blob id) and manifest ids, all held by the caller and
    all of the manifest's own repository. The only place where these rows come from."""
    backend.insert(
        ManifestBlob, ["manifest", "position", "repository_blob", "role"],
        [(manifest_id, position, link, role) for position, (role, link) in enumerate(blobs)],
        returning=(),
    )  # fmt: skip
    backend.insert(
        ManifestChild, ["parent", "position", "child"],
        [(manifest_id, position, child) for position, child in enumerate(children)],
        returning=(),
    )  # fmt: skip


def _hold_blobs(repository_id: int, project_id: int, digests: set[str], now: datetime) -> dict[str, int]:
    """Lock the blobs' links KEY SHARE, by project_blob, as the foreign keys would later. Ids by digest of those that
    are shown or that a lease promises."""
    if not digests:
        return {}
    read = backend.prepared if len(digests) <= backend.MAX_ROWS_PREPARED else backend.sql
    # a subquery, as in selectors._FIND_BLOB: joined, a project's blobs were all read when there were no statistics yet
    rows = read(
        f"SELECT b.digest, rb.id FROM blob b, repository_blob rb WHERE b.digest IN ({backend.placeholders([*digests])}) "
        "AND rb.repository_id = %s AND rb.project_blob_id = "
        "(SELECT pb.id FROM project_blob pb WHERE pb.project_id = %s AND pb.blob_id = b.id) "
        f"AND (rb.hidden_at IS NULL OR rb.keep_until > %s OR {selectors.IS_NAMED_BY_LIVE_MANIFEST}) "
        "ORDER BY rb.project_blob_id" + backend.lock("KEY SHARE", "rb"),
        *map(encode_digest, digests), repository_id, project_id, now,
    )  # fmt: skip
    return {decode_digest(raw): row_id for raw, row_id in rows}


def _insert(
    repository_id: int, digest: str, parsed: ParsedManifest, payload: bytes, pushed_by: str, now: datetime
) -> int | None:
    """The new row's id; None when there is one, live or trashed."""
    subject = str(parsed.subject.digest) if parsed.subject else None
    rows = backend.insert(
        Manifest, MANIFEST_COLUMNS,
        [(
            repository_id, digest, parsed.media_type, parsed.artifact_type,
            shown_media_type(parsed), artifact_kind(parsed), accessory_type(parsed), subject,
            dict(parsed.annotations) if subject else None, payload, len(payload), parsed.total_size, pushed_by, now,
        )],
        on_conflict="(repository_id, digest) DO NOTHING",
    )  # fmt: skip
    return int(rows[0][0]) if rows else None
