"""Tags of a repository, one row each, as people read them: versions in order, platforms, pulls. Reads only."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from haven_registry.artifact_filters import independent, is_tagged, standing_alone
from haven_registry.artifact_list import ROW_COLUMNS, ManifestRow
from haven_registry.models import ArtifactDetail, Manifest, ManifestChild, PullDaily, Tag, TagHistory
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.services.details import explain
from haven_registry.storage.driver import StorageDriver

PULL_DAYS = 30
"""Days of pulls that are counted, today's included."""

_SIDE_TAG = r"^sha(256|512)-[0-9a-f]{64,128}(\.(sig|att|sbom))?$"
_VERSION = re.compile(r"[vV]?(\d{1,18}(?:\.\d{1,18})*)(?:[-.]?([0-9A-Za-z][0-9A-Za-z.-]*))?(?:_[0-9A-Za-z.-]*)?")
_PIECES = re.compile(r"\d{1,18}|\D+|\d+")


class Order(StrEnum):
    """Of tags: by name, when they were last moved, or as versions (semver.org, 11; what is none comes last)."""

    NAME = "name"
    PUSHED = "pushed"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag, or an artifact without one (name ''). size: bytes, own and of children. platforms: os/architecture, those of
    an index in its order. by: who made the tag mean this, '' when unknown. pulls: by this name in PULL_DAYS."""

    name: str
    row: ManifestRow
    moved_at: datetime
    by: str
    size: int
    platforms: tuple[str, ...]
    pulled_at: datetime | None
    pulls: int


def list_repository_tags(
    repository_id: int,
    driver: StorageDriver,
    *,
    offset: int,
    limit: int,
    order: Order = Order.PUSHED,
    descends: bool = True,
    text: str = "",
    with_side_tags: bool = False,
) -> tuple[list[TagRow], int]:
    """A page of the tags, and the number of all. text: what their names contain, in any case. with_side_tags: those too
    that clients use as an index, not as a name. Six statements, whatever there is."""
    found = Tag.objects.filter(repository_id=repository_id)
    if text:
        found = found.filter(name__icontains=text)
    if not with_side_tags:
        found = found.exclude(_side_tags())
    if order is Order.VERSION:
        names = sorted_by_version(found.values_list("name", flat=True), descends=descends)
        shown, total = names[offset : offset + limit], len(names)
    else:
        column = "name" if order is Order.NAME else "updated_at"
        sign = "-" if descends else ""
        page = found.order_by(f"{sign}{column}", f"{sign}id").values_list("name", flat=True)
        shown, total = list(page[offset : offset + limit]), found.count()
    # by name, and not as one statement: PostgreSQL would take what is said of each tag for said of all of them
    rows = {row.name: row for row in _rows(Tag.objects.filter(repository_id=repository_id, name__in=shown), driver)}
    return [rows[name] for name in shown if name in rows], total


def list_untagged(repository_id: int, driver: StorageDriver, *, offset: int, limit: int) -> tuple[list[TagRow], int]:
    """A page of the artifacts that have no tag, belong to no index and are no accessory, newest first, and the number of
    all. Five statements."""
    live = Manifest.objects.filter(~is_tagged(), repository_id=repository_id, deleted_at=None)
    found = standing_alone(independent(live))
    page = found.order_by("-pushed_at", "-id").values_list("pushed_by", *ROW_COLUMNS)[offset : offset + limit]
    named = [("", ManifestRow(*row), row[-1], by) for by, *row in page]
    return _described(repository_id, named, driver), found.count()


def newest_tag_names(repository_id: int, *, limit: int) -> list[str]:
    """Names of the tags that were moved last. One statement."""
    found = Tag.objects.filter(repository_id=repository_id).exclude(_side_tags())
    return list(found.order_by("-updated_at", "-id").values_list("name", flat=True)[:limit])


def sister_tags(repository_id: int, names: Collection[str]) -> dict[str, list[str]]:
    """All tags of the artifacts that `names` name, by digest, at most 100 of each. What is no tag is left out. One
    statement."""
    named = Tag.objects.filter(repository_id=repository_id, name__in=names).values("manifest_id")
    rows = Tag.objects.filter(manifest_id__in=named).order_by("name").values_list("manifest__digest", "name")
    found: dict[str, list[str]] = {}
    for digest, name in rows:
        each = found.setdefault(digest, [])
        if len(each) < 100 or name in names:
            each.append(name)
    return found


def sorted_by_version(names: Iterable[str], *, descends: bool = True) -> list[str]:
    """Versions in their order, and then the other names, by their numbers and letters."""
    versions: list[tuple[Any, str]] = []
    others: list[str] = []
    for name in names:
        key = _version(name)
        if key is None:
            others.append(name)
        else:
            versions.append((key, name))
    versions.sort(reverse=descends)
    return [name for _, name in versions] + sorted(others, key=_natural)


def _side_tags() -> Q:
    """Only names in this range can be some; the others are not looked at twice."""
    return Q(name__gte="sha256-", name__lt="sha512.", name__regex=_SIDE_TAG)


@lru_cache(maxsize=32_768)  # some 10 MiB; a repository's versions are sorted for each of its pages
def _version(name: str) -> Any:
    match = _VERSION.fullmatch(name)
    if match is None:
        return None
    numbers = tuple(int(number) for number in match[1].split("."))
    if len(numbers) == 1 and len(match[1]) > 12:
        return None  # a commit's number, or a time
    if match[2] is None:
        return numbers, (1,)
    parts = (re.fullmatch(r"\d{1,18}", part) for part in match[2].split("."))
    texts = match[2].split(".")
    identifiers = tuple(
        (0, int(text), "") if number else (1, 0, text) for number, text in zip(parts, texts, strict=True)
    )
    return numbers, (0, identifiers)


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece.lower()) for piece in _PIECES.findall(name)]


def _rows(tags: "QuerySet[Tag]", driver: StorageDriver) -> list[TagRow]:
    mover = TagHistory.objects.filter(repository_id=OuterRef("repository_id"), name=OuterRef("name")).order_by("-id")
    described: Any = tags.annotate(by=Subquery(mover.values("by")[:1]))
    columns = ("name", "updated_at", "by", "manifest__pushed_by", *(f"manifest__{column}" for column in ROW_COLUMNS))
    named = [
        (name, ManifestRow(*row), moved, by or pushed_by)
        for name, moved, by, pushed_by, *row in described.values_list(*columns)
    ]
    return _described(named[0][1].repository_id, named, driver) if named else []


def _described(
    repository_id: int, named: Sequence[tuple[str, ManifestRow, datetime, str]], driver: StorageDriver
) -> list[TagRow]:
    rows = {row.id: row for _, row, _, _ in named}
    if not rows:
        return []
    below = _sizes_below([row.id for row in rows.values() if row.media_type in INDEX_TYPES])
    platforms = _platforms(rows, driver)
    pulls = _pulls(repository_id, rows)
    return [
        TagRow(
            name=name,
            row=row,
            moved_at=moved,
            by=by,
            size=row.payload_size + row.total_size + below.get(row.id, 0),
            platforms=platforms.get(row.id, ()),
            pulled_at=pulls.get((row.digest, name), (None, 0))[0],
            pulls=pulls.get((row.digest, name), (None, 0))[1],
        )
        for name, row, moved, by in named
    ]


def _sizes_below(parents: Collection[int]) -> dict[int, int]:
    if not parents:
        return {}
    rows = ManifestChild.objects.filter(parent_id__in=parents).values_list("parent_id").order_by()
    summed = rows.annotate(payload=Sum("child__payload_size"), blobs=Sum("child__total_size"))
    return {parent: payload + blobs for parent, payload, blobs in summed}


def _platforms(rows: Mapping[int, ManifestRow], driver: StorageDriver) -> dict[int, tuple[str, ...]]:
    known = {
        row_id: (platform, children)
        for row_id, platform, children in ArtifactDetail.objects.filter(manifest_id__in=rows).values_list(
            "manifest_id", "platform", "children"
        )
    }
    if missing := rows.keys() - known.keys():
        known |= {row_id: (found.platform, found.children) for row_id, found in explain(missing, driver).items()}
    return {row_id: platforms_of(platform, children) for row_id, (platform, children) in known.items()}


def platforms_of(platform: str, children: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """os/architecture[/variant] of an image, or of what an index names; not of attestations, which run nowhere."""
    if platform:
        return (platform,)
    found = [platform_of(child) for child in children]
    return tuple(dict.fromkeys(each for each in found if each and each != "unknown/unknown"))


def platform_of(child: Mapping[str, Any]) -> str:
    """Of one thing that an index names; '' when it says none."""
    said = child.get("platform") or {}
    return "/".join(str(said[key]) for key in ("os", "architecture", "variant") if said.get(key))


def _pulls(repository_id: int, rows: Mapping[int, ManifestRow]) -> dict[tuple[str, str], tuple[datetime | None, int]]:
    """When a digest was last pulled by a tag ('': by digest), and how often in PULL_DAYS."""
    since = timezone.now().date() - timedelta(days=PULL_DAYS - 1)
    digests = [row.digest for row in rows.values()]
    counted = PullDaily.objects.filter(repository_id=repository_id, manifest_digest__in=digests)
    summed = counted.values_list("manifest_digest", "tag_name").order_by()
    return {
        (digest, tag): (last, pulls or 0)
        for digest, tag, last, pulls in summed.annotate(
            last=Max("last_pulled_at"), total=Sum("pulls", filter=Q(day__gte=since))
        )
    }
