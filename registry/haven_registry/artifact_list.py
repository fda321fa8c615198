"""Artifacts as the API shows them: a constant number of statements, however many there are. Reads only.

Explaining those that nobody has looked at yet (services.details) is the one thing that writes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from haven_core.db.lists import Column, Kind, Listing
from haven_core.domain.conditions import ListQuery
from haven_core.labels.selectors import LabelView
from haven_registry.accessories import AccessoryView, list_accessories_of
from haven_registry.artifact_filters import CONDITIONS, is_accessory, is_child, is_tagged
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.models import ArtifactLabel, Manifest, ManifestChild, PullDaily, Tag
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver

MAX_INLINE_TAGS = 100
"""The newest tags that are shown with their artifact; the list of tags pages through all."""

LISTING = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "media_type": Column("config_media_type"),
        "manifest_media_type": Column("media_type"),
        "artifact_type": Column("artifact_type"),
        "push_time": Column("pushed_at", Kind.MOMENT),
        "size": Column("total_size", Kind.NUMBER),
    },
    sorts={"id": "id", "push_time": "pushed_at", "size": "total_size", "media_type": "config_media_type"},
    order=("-pushed_at", "-id"),
)
TAGS = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "name": Column("name"),
        "push_time": Column("updated_at", Kind.MOMENT),
    },
    sorts={"id": "id", "name": "name", "push_time": "updated_at"},
    order=("-updated_at", "-id"),
)
_COLUMNS = (
    "id", "digest", "media_type", "artifact_type", "config_media_type", "kind", "payload_size", "total_size",
    "pushed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag; pulled_at None: never by this name."""

    id: int
    name: str
    manifest_id: int
    moved_at: datetime
    pulled_at: datetime | None


class ManifestRow(NamedTuple):
    """The columns of a live manifest that everything else is found by. kind: Harbor's `type`."""

    id: int
    digest: str
    media_type: str
    artifact_type: str
    config_media_type: str
    kind: str
    payload_size: int
    total_size: int
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """An artifact. size: bytes, own and of children. children: (id, digest) by position. tags, labels, accessories: None
    when they were not asked for."""

    row: ManifestRow
    size: int
    pulled_at: datetime | None
    details: Details
    children: Mapping[str, int]
    tags: Sequence[TagView] | None
    labels: Sequence[LabelView] | None
    accessories: Sequence[AccessoryView] | None


def base_artifacts(manifests: "QuerySet[Manifest]", *, with_children: bool = False) -> "QuerySet[Manifest]":
    """Those that Harbor lists: live, tagged or not below an index, and never an accessory."""
    found = manifests.filter(~is_accessory(), deleted_at=None)
    return found if with_children else found.filter(is_tagged() | ~is_child())


def list_artifacts(
    repository_id: int,
    query: ListQuery,
    driver: StorageDriver,
    *,
    with_tags: bool,
    with_labels: bool,
    with_accessories: bool,
) -> tuple[list[ArtifactView], int]:
    """A page of a repository's artifacts, and the number of all. Raises BadRequest."""
    manifests = Manifest.objects.filter(repository_id=repository_id)
    is_wide = any(each.key == "base" and each.value == "*" for each in query.conditions)
    found = LISTING.narrow(base_artifacts(manifests, with_children=is_wide), query)
    for condition in query.conditions:
        if condition.key in CONDITIONS:
            found = found.filter(CONDITIONS[condition.key](condition))
    rows = [ManifestRow(*row) for row in LISTING.page(found, query).values_list(*_COLUMNS)]
    views = _views(
        repository_id, rows, driver, with_tags=with_tags, with_labels=with_labels, with_accessories=with_accessories
    )
    return views, found.count()


def find_artifact(repository_id: int, reference: str) -> ManifestRow:
    """A live manifest by tag or digest. Raises ManifestUnknown."""
    manifests = Manifest.objects.filter(_named(repository_id, reference), repository_id=repository_id, deleted_at=None)
    row = manifests.values_list(*_COLUMNS).first()
    if row is None:
        raise ManifestUnknown(f"artifact {reference[:200]} not found")
    return ManifestRow(*row)


def describe_artifact(
    repository_id: int,
    row: ManifestRow,
    driver: StorageDriver,
    *,
    with_tags: bool,
    with_labels: bool,
    with_accessories: bool,
) -> ArtifactView:
    """All that the list shows, of one."""
    return _views(
        repository_id, [row], driver, with_tags=with_tags, with_labels=with_labels, with_accessories=with_accessories
    )[0]


def list_artifact_tags(repository_id: int, row: ManifestRow, query: ListQuery) -> tuple[list[TagView], int]:
    """A page of the artifact's tags, newest first, and the number of all. Three statements. Raises BadRequest."""
    found = TAGS.narrow(Tag.objects.filter(manifest_id=row.id), query)
    pulled = pulled_tags(repository_id, [row.digest])
    page = TAGS.page(found, query).values_list("id", "name", "manifest_id", "updated_at")
    return [TagView(*tag, pulled.get((row.digest, tag[1]))) for tag in page], found.count()


def pulled_tags(repository_id: int, digests: Collection[str]) -> dict[tuple[str, str], datetime]:
    """When (digest, tag or '') was last pulled."""
    pulls = PullDaily.objects.filter(repository_id=repository_id, manifest_digest__in=digests)
    rows = pulls.values_list("manifest_digest", "tag_name").annotate(last=Max("last_pulled_at")).order_by()
    return {(digest, tag): last for digest, tag, last in rows}


def _named(repository_id: int, reference: str) -> Q:
    if ":" in reference:
        try:
            return Q(digest=str(Digest.parse(reference)))
        except DigestInvalid:
            return Q(pk__in=())
    if "\0" in reference:
        return Q(pk__in=())
    tags = Tag.objects.filter(repository_id=repository_id, name=reference)
    return Q(id__in=tags.values("manifest_id"))


def _views(
    repository_id: int,
    rows: Sequence[ManifestRow],
    driver: StorageDriver,
    *,
    with_tags: bool,
    with_labels: bool,
    with_accessories: bool,
) -> list[ArtifactView]:
    if not rows:
        return []
    ids, digests = [row.id for row in rows], [row.digest for row in rows]
    details = load_details(ids, driver)
    children, below = _children(ids)
    pulled = pulled_tags(repository_id, digests)
    last: dict[str, datetime] = {}
    for (digest, _), moment in pulled.items():
        last[digest] = max(moment, last.get(digest, moment))
    tags = _newest_tags({row.id: row.digest for row in rows}, pulled) if with_tags else None
    labels = _labels(ids) if with_labels else None
    accessories = list_accessories_of(repository_id, {row.digest: row.id for row in rows}) if with_accessories else None
    return [
        ArtifactView(
            row=row,
            size=row.payload_size + row.total_size + below.get(row.id, 0),
            pulled_at=last.get(row.digest),
            details=details.get(row.id, Details()),
            children=children.get(row.id, {}),
            tags=None if tags is None else tags.get(row.id, []),
            labels=None if labels is None else labels.get(row.id, []),
            accessories=None if accessories is None else accessories.get(row.id, []),
        )
        for row in rows
    ]


def _children(ids: Collection[int]) -> tuple[dict[int, dict[str, int]], dict[int, int]]:
    """Ids of children by parent and digest, and the bytes of each parent's."""
    children: dict[int, dict[str, int]] = {}
    sizes: dict[int, int] = {}
    columns = ("parent_id", "child_id", "child__digest", "child__payload_size", "child__total_size")
    for parent, child, digest, payload, total in ManifestChild.objects.filter(parent_id__in=ids).values_list(*columns):
        children.setdefault(parent, {})[digest] = child
        sizes[parent] = sizes.get(parent, 0) + payload + total
    return children, sizes


def _newest_tags(digests: Mapping[int, str], pulled: Mapping[tuple[str, str], datetime]) -> dict[int, list[TagView]]:
    numbered: Any = Tag.objects.filter(manifest_id__in=digests).annotate(
        number=Window(RowNumber(), partition_by=[F("manifest_id")], order_by=[F("updated_at").desc(), F("id").desc()])
    )
    newest = numbered.filter(number__lte=MAX_INLINE_TAGS).order_by("-updated_at", "-id")
    found: dict[int, list[TagView]] = {}
    for tag_id, name, manifest_id, moved in newest.values_list("id", "name", "manifest_id", "updated_at"):
        when = pulled.get((digests[manifest_id], name))
        found.setdefault(manifest_id, []).append(TagView(tag_id, name, manifest_id, moved, when))
    return found


def _labels(ids: Collection[int]) -> dict[int, list[LabelView]]:
    columns = ("id", "name", "description", "color", "project_id", "created_at", "updated_at")
    rows = ArtifactLabel.objects.filter(manifest_id__in=ids, label__name__isnull=False).order_by("label__name", "id")
    found: dict[int, list[LabelView]] = {}
    for manifest_id, *label in rows.values_list("manifest_id", *(f"label__{column}" for column in columns)):
        found.setdefault(manifest_id, []).append(LabelView(*label))
    return found
