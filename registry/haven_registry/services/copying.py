"""Copying an artifact into another repository, without moving a byte."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import Origin
from haven_core.errors import ConcurrentChange
from haven_core.quotas.services import charge
from haven_registry.accessories import accessories_below
from haven_registry.errors import ManifestUnknown
from haven_registry.models import Manifest, ManifestBlob, ManifestChild, RepositoryBlob, Tag, TagHistory
from haven_registry.services.blobs import link_blobs
from haven_registry.services.delete import descendants
from haven_registry.services.manifests import MANIFEST_COLUMNS, hold_manifests, insert_references
from haven_registry.services.repositories import hold_repository, publish_about, show_repository
from haven_registry.services.room import with_room
from haven_registry.services.tags import Change, Target, set_tags


@dataclass(frozen=True, slots=True)
class _Tree:
    """manifests: rows to copy, children before parents. blobs: (role, blob id) by manifest; children: digests by
    manifest.
    sizes: bytes by blob id."""

    manifests: Sequence[dict[str, Any]]
    blobs: dict[int, list[tuple[str, int]]]
    children: dict[int, list[str]]
    sizes: dict[int, int]


def copy_artifact(
    *,
    source_repository_id: int,
    digest: str,
    repository_id: int,
    project_id: int,
    tags: Sequence[str] = (),
    with_accessories: bool = False,
    pushed_by: str = "",
    address: str = "",
) -> None:
    """The manifest, all below it and their blobs into another repository, in one transaction; the project is charged
    for what is new to it.

    with_accessories: its accessories too, and theirs, and all tags that these and the manifest have in the source.
    The source is read without locks: what is gone meanwhile fails at a foreign key, and the copy starts over.
    Raises RepositoryUnknown (the target), ManifestUnknown (in the source), TagImmutable, QuotaExceeded.
    Locks: repository (KEY SHARE), project_blob, repository_blob, manifest (SHARE, or NO KEY UPDATE to revive), tag,
    quota.
    """

    def work() -> None:
        now = timezone.now()
        held = hold_repository(repository_id)
        show_repository(held, now, Origin(pushed_by, address))
        root = _live(source_repository_id, digest)
        roots = {root: digest}
        if with_accessories:
            family = Manifest.objects.filter(id__in=descendants(root)).values_list("digest", "id")
            roots |= {view.id: view.digest for view in accessories_below(source_repository_id, dict(family))}
        names = _tags_of(roots) if with_accessories else {}
        names[root] = [*names.get(root, ()), *tags]
        tree = _read_tree(list(roots))
        cost = link_blobs(repository_id, project_id, tree.sizes.items(), now)
        known = hold_manifests(repository_id, [], own=[row["digest"] for row in tree.manifests], now=now)
        cost += _insert_tree(repository_id, tree, known, pushed_by, now)
        targets = {name: Target(known[roots[row_id]], roots[row_id]) for row_id, each in names.items() for name in each}
        set_tags(held, targets, Change(TagHistory.COPIED, pushed_by, now))
        for row_id, each in roots.items():
            publish_about(
                repository_id, held, "manifest.copied", now, Origin(pushed_by, address),
                digest=each, tags=names.get(row_id, []), source=source_repository_id,
            )  # fmt: skip
        charge(project_id, cost)

    with_room(lambda: run_write(work))


def _insert_tree(repository_id: int, tree: _Tree, known: dict[str, int], pushed_by: str, now: datetime) -> int:
    """Insert what the repository has not; ids go into `known`. Returns the bytes of the payloads."""
    links = dict(
        RepositoryBlob.objects.filter(repository_id=repository_id, project_blob__blob_id__in=tree.sizes).values_list(
            "project_blob__blob_id", "id"
        )
    )
    cost = 0
    for row in tree.manifests:
        if row["digest"] not in known:
            known[row["digest"]] = _insert(repository_id, row, pushed_by, now)
            insert_references(
                known[row["digest"]],
                [(role, links[blob_id]) for role, blob_id in tree.blobs.get(row["id"], [])],
                [known[child] for child in tree.children.get(row["id"], [])],
            )
            cost += row["payload_size"]
    return cost


def _live(repository_id: int, digest: str) -> int:
    found = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
    root = found.values_list("id", flat=True).first()
    if root is None:
        raise ManifestUnknown
    return root


def _tags_of(manifests: Collection[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for row_id, name in Tag.objects.filter(manifest_id__in=manifests).values_list("manifest_id", "name"):
        found.setdefault(row_id, []).append(name)
    return found


def _insert(repository_id: int, row: dict[str, Any], pushed_by: str, now: datetime) -> int:
    values = {**row, "repository": repository_id, "pushed_by": pushed_by, "pushed_at": now}
    inserted = backend.insert(
        Manifest, MANIFEST_COLUMNS, [tuple(values[name] for name in MANIFEST_COLUMNS)],
        on_conflict="(repository_id, digest) DO NOTHING",
    )  # fmt: skip
    if not inserted:
        raise ConcurrentChange  # pushed at the same time: next time it is an existing one
    return int(inserted[0][0])


def _read_tree(roots: Sequence[int]) -> _Tree:
    """Live manifests and all below them. Children come before parents, then by digest: height belongs to the
    manifest, not to the tree, so two copies insert the manifests they share in the same order."""
    family = descendants(*roots)
    copied = [name for name in MANIFEST_COLUMNS if name not in ("repository", "pushed_by", "pushed_at")]
    rows = list(Manifest.objects.filter(id__in=family, deleted_at=None).values("id", *copied))
    if len(rows) != len(set(family)):
        raise ManifestUnknown  # deleted while we read
    tree = _Tree(rows, {}, {}, {})
    below: dict[int, list[int]] = {}
    digests = {row["id"]: row["digest"] for row in rows}
    for parent, child in (
        ManifestChild.objects.filter(parent_id__in=family).order_by("position").values_list("parent_id", "child_id")
    ):
        below.setdefault(parent, []).append(child)
        tree.children.setdefault(parent, []).append(digests[child])
    heights: dict[int, int] = {}
    for manifest_id in reversed(_parents_first(roots, below)):
        heights[manifest_id] = 1 + max((heights[child] for child in below.get(manifest_id, [])), default=-1)
    rows.sort(key=lambda row: (heights[row["id"]], row["digest"]))
    named = ManifestBlob.objects.filter(manifest_id__in=family).order_by("position")
    columns = ("manifest_id", "role", "repository_blob__project_blob__blob_id", "repository_blob__project_blob__size")
    for manifest_id, role, blob_id, size in named.values_list(*columns):
        tree.blobs.setdefault(manifest_id, []).append((role, blob_id))
        tree.sizes[blob_id] = size
    return tree


def _parents_first(roots: Sequence[int], below: dict[int, list[int]]) -> list[int]:
    """A topological order; references never form a circle, since each is the digest of what it names."""
    order: list[int] = []
    seen: set[int] = set()
    stack: list[tuple[int, bool]] = [(root, False) for root in roots]
    while stack:
        manifest_id, is_done = stack.pop()
        if is_done:
            order.append(manifest_id)
        elif manifest_id not in seen:
            seen.add(manifest_id)
            stack.append((manifest_id, True))
            stack += [(child, False) for child in below.get(manifest_id, [])]
    return order[::-1]
