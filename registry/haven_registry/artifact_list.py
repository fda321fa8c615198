"""Artifacts as the API shows them: a constant number of statements, however many there are. Reads only.

Explaining those that nobody has looked at yet (services.details) is the one thing that writes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from django.db.models import DateTimeField, F, Max, OuterRef, Q, QuerySet, Subquery, Sum, Value, Window
from django.db.models.functions import Coalesce, RowNumber

from haven_core.db.lists import Column, Kind, Listing, total
from haven_core.domain.conditions import ListQuery
from haven_core.labels.selectors import LabelView
from haven_registry.accessories import AccessoryView, list_accessories_of, list_signatures_above
from haven_registry.artifact_filters import CONDITIONS, independent, standing_alone
from haven_registry.artifact_parts import TagView, children_of, labels_of, newest_tags, pulled_tags
from haven_registry.artifacts.details import Details
from haven_registry.errors import ManifestUnknown
from haven_registry.models import Manifest, ManifestChild, PullDaily, Tag
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.services.details import load_details
from haven_registry.storage.driver import StorageDriver

LISTING = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "media_type": Column("config_media_type"),
        "manifest_media_type": Column("media_type"),
        "artifact_type": Column("artifact_type"),
        "project_id": Column("repository__project_id", Kind.NUMBER),
        "repository_id": Column("repository_id", Kind.NUMBER),
        "repository_name": Column("repository__full_name"),
        "push_time": Column("pushed_at", Kind.MOMENT),
        "pull_time": Column("pulled_at", Kind.MOMENT),
        "size": Column("shown_size", Kind.NUMBER),
    },
    sorts={
        "id": "id",
        "type": "kind",
        "media_type": "config_media_type",
        "manifest_media_type": "media_type",
        "artifact_type": "artifact_type",
        "repository_name": "repository__full_name",
        "push_time": "pushed_at",
        "pull_time": "pulled_at",
        "size": "shown_size",
    },
    order=("-pushed_at", "-id"),
)
TAGS = Listing(
    filters={
        "id": Column("id", Kind.NUMBER),
        "name": Column("name"),
        "push_time": Column("updated_at", Kind.MOMENT),
        "pull_time": Column("pulled_at", Kind.MOMENT),
    },
    sorts={"id": "id", "name": "name", "push_time": "updated_at", "pull_time": "pulled_at"},
    order=("-updated_at", "-id"),
)
ROW_COLUMNS = (
    "id", "repository_id", "digest", "media_type", "artifact_type", "config_media_type", "kind", "payload_size",
    "total_size", "pushed_at",
)  # fmt: skip
_NEVER = datetime(1, 1, 1, tzinfo=UTC)  # when what nobody pulled was pulled (Harbor)


class ManifestRow(NamedTuple):
    """The columns of a live manifest that everything else is found by. kind: Harbor's `type`."""

    id: int
    repository_id: int
    digest: str
    media_type: str
    artifact_type: str
    config_media_type: str
    kind: str
    payload_size: int
    total_size: int
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class Parts:
    """What is shown with an artifact beyond its own row. inherited: signatures of indexes that name it, too."""

    tags: bool
    labels: bool
    accessories: bool
    inherited: bool = False


EVERYTHING = Parts(tags=True, labels=True, accessories=True)


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """An artifact. size: bytes, own and of children. children: (id, digest) by position. tags, labels, accessories,
    inherited: None when they were not asked for."""

    row: ManifestRow
    size: int
    pulled_at: datetime | None
    details: Details
    children: Mapping[str, int]
    tags: Sequence[TagView] | None
    labels: Sequence[LabelView] | None
    accessories: Sequence[AccessoryView] | None
    inherited: Sequence[AccessoryView] | None = None


def base_artifacts(manifests: "QuerySet[Manifest]", *, with_children: bool = False) -> "QuerySet[Manifest]":
    """Those that Harbor lists: live, tagged or not below an index, and never an accessory."""
    found = independent(manifests.filter(deleted_at=None))
    return found if with_children else standing_alone(found)


def list_artifacts(
    repository_id: int, query: ListQuery, driver: StorageDriver, parts: Parts
) -> tuple[list[ArtifactView], int]:
    """A page of a repository's artifacts, and the number of all. Raises BadRequest."""
    found = _asked_for(Manifest.objects.filter(repository_id=repository_id), query)
    rows = [ManifestRow(*row) for row in LISTING.page(found, query).values_list(*ROW_COLUMNS)]
    return _views(rows, driver, parts), total(found)


def list_project_artifacts(
    project_id: int, query: ListQuery, driver: StorageDriver, parts: Parts, *, only_latest: bool = False
) -> tuple[list[ArtifactView], int]:
    """The same of all repositories of a project. only_latest: of each repository the one that was pushed last, of those
    that the query asks for. Raises BadRequest."""
    found = _asked_for(Manifest.objects.filter(repository__project_id=project_id, repository__deleted_at=None), query)
    if only_latest:
        newest = Window(
            RowNumber(), partition_by=[F("repository_id")], order_by=[F("pushed_at").desc(), F("id").desc()]
        )
        numbered: Any = found.annotate(number=newest)
        latest = Manifest.objects.filter(id__in=numbered.filter(number=1).values("id"))
        found = _with_sums(latest, _keys(query))
    rows = [ManifestRow(*row) for row in LISTING.page(found, query).values_list(*ROW_COLUMNS)]
    return _views(rows, driver, parts), total(found)


def _asked_for(manifests: "QuerySet[Manifest]", query: ListQuery) -> "QuerySet[Manifest]":
    is_wide = any(each.key == "base" and each.value == "*" for each in query.conditions)
    found = LISTING.narrow(_with_sums(base_artifacts(manifests, with_children=is_wide), _keys(query)), query)
    for condition in query.conditions:
        if condition.key in CONDITIONS:
            found = found.filter(CONDITIONS[condition.key](condition))
    return found


def _keys(query: ListQuery) -> set[str]:
    return {each.key for each in query.conditions} | {key.removeprefix("-") for key in query.order}


def _with_sums(manifests: "QuerySet[Manifest]", keys: Collection[str]) -> "QuerySet[Manifest]":
    """With what is added up of other rows, where a list is filtered or sorted by it: it costs a look for each row."""
    found: QuerySet[Any] = manifests
    if "size" in keys:
        children = ManifestChild.objects.filter(parent_id=OuterRef("pk")).order_by().values("parent_id")
        below = children.annotate(size=Sum(F("child__payload_size") + F("child__total_size"))).values("size")
        found = found.annotate(shown_size=F("payload_size") + F("total_size") + Coalesce(Subquery(below), 0))
    if "pull_time" in keys:
        pulls = PullDaily.objects.filter(repository_id=OuterRef("repository_id"), manifest_digest=OuterRef("digest"))
        found = found.annotate(pulled_at=_last(pulls))
    return found


def _last(pulls: "QuerySet[PullDaily]") -> Coalesce:
    last = pulls.order_by().values("repository_id").annotate(last=Max("last_pulled_at")).values("last")
    return Coalesce(Subquery(last), Value(_NEVER), output_field=DateTimeField())


def find_artifact(repository_id: int, reference: str) -> ManifestRow:
    """A live manifest by tag or digest. Raises ManifestUnknown."""
    manifests = Manifest.objects.filter(_named(repository_id, reference), repository_id=repository_id, deleted_at=None)
    row = manifests.values_list(*ROW_COLUMNS).first()
    if row is None:
        raise ManifestUnknown(f"artifact {reference[:200]} not found")
    return ManifestRow(*row)


def describe_artifact(row: ManifestRow, driver: StorageDriver, parts: Parts) -> ArtifactView:
    """All that the list shows, of one."""
    return _views([row], driver, parts)[0]


def list_artifact_tags(row: ManifestRow, query: ListQuery) -> tuple[list[TagView], int]:
    """A page of the artifact's tags, newest first, and the number of all. Three statements. Raises BadRequest."""
    tags: QuerySet[Tag] = Tag.objects.filter(manifest_id=row.id)
    if "pull_time" in _keys(query):
        pulls = PullDaily.objects.filter(
            repository_id=row.repository_id, manifest_digest=row.digest, tag_name=OuterRef("name")
        )
        tags = cast("QuerySet[Tag]", tags.annotate(pulled_at=_last(pulls)))
    found = TAGS.narrow(tags, query)
    pulled = pulled_tags([row])
    page = TAGS.page(found, query).values_list("id", "name", "manifest_id", "updated_at")
    return [TagView(*tag, pulled.get((row.id, tag[1]))) for tag in page], total(found)


def has_digest(text: str) -> Q:
    """Manifests of that digest; what is no digest is that of none."""
    try:
        return Q(digest=str(Digest.parse(text)))
    except DigestInvalid:
        return Q(pk__in=())


def _named(repository_id: int, reference: str) -> Q:
    if ":" in reference:
        return has_digest(reference)
    if "\0" in reference:
        return Q(pk__in=())
    tags = Tag.objects.filter(repository_id=repository_id, name=reference)
    return Q(id__in=tags.values("manifest_id"))


def _views(rows: Sequence[ManifestRow], driver: StorageDriver, parts: Parts) -> list[ArtifactView]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    details = load_details(ids, driver)
    children, below = children_of([row.id for row in rows if row.media_type in INDEX_TYPES])
    pulled = pulled_tags(rows)
    last: dict[int, datetime] = {}
    for (row_id, _), moment in pulled.items():
        last[row_id] = max(moment, last.get(row_id, moment))
    tags = newest_tags(ids, pulled) if parts.tags else None
    labels = labels_of(ids) if parts.labels else None
    subjects = {(row.repository_id, row.digest): row.id for row in rows}
    accessories = list_accessories_of(subjects) if parts.accessories else None
    inherited = list_signatures_above(ids) if parts.inherited else None
    return [
        ArtifactView(
            row=row,
            size=row.payload_size + row.total_size + below.get(row.id, 0),
            pulled_at=last.get(row.id),
            details=details.get(row.id, Details()),
            children=children.get(row.id, {}),
            tags=None if tags is None else tags.get(row.id, []),
            labels=None if labels is None else labels.get(row.id, []),
            accessories=None if accessories is None else accessories.get(row.id, []),
            inherited=None if inherited is None else inherited.get(row.id, []),
        )
        for row in rows
    ]
