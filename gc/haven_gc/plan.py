"""The dry run: what a garbage collection started now would remove, and why. Reads only, takes no lock.

It answers the questions of the purge steps (haven_registry.services.purge, haven_gc.collect) for rows that are still
there, so each condition here has its twin there; a property test keeps them equal. What is pushed, tagged, restored or
leased afterwards stays: the steps ask everything again, under their locks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from haven_core.conf import config
from haven_core.configuration.selectors import restore_window
from haven_gc.collect import find_projects
from haven_gc.uploads import find_stale
from haven_registry.models import (
    Blob,
    Manifest,
    ManifestBlob,
    ManifestChild,
    ProjectBlob,
    Repository,
    RepositoryBlob,
    StorageObject,
    Tag,
    TagHistory,
    Upload,
)
from haven_registry.services.delete import is_unreferenced, recent_pulls

PAGE = 1000

UNTAGGED = "untagged"
ENDED = "deleted, and its restore window is over"
REPOSITORY_ENDED = "its repository was deleted, and its restore window is over"
NOT_NAMED = "no manifest names it and no lease keeps it"
NOT_USED = "no repository of the project uses it"
NOT_CHARGED = "no project has it"
ABANDONED = "nobody went on with it"
DEAD = "its blob or upload is gone"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that would go. level: repository, trash (a manifest that goes into the trash, not away), manifest, link
    (a blob out of a repository), charge (a blob out of a project's quota), blob, upload or key. size: bytes."""

    level: str
    id: Any
    name: str
    reason: str
    size: int = 0


def plan_removals(now: datetime, *, delete_untagged: bool) -> Iterator[Removal]:
    """Everything a run would remove, project by project, then blobs that only several projects together let go. Memory:
    the ids of one project's trash, and of blobs that several repositories or projects share."""
    blobs = _Shared(ProjectBlob, "blob_id")
    for project_id in find_projects():
        plan = _ProjectPlan(project_id, now, delete_untagged)
        for removal in plan.removals():
            yield removal
            if len(plan.let_go) >= PAGE:
                yield from _blobs(blobs.let_go(plan.take_let_go()))
        yield from _blobs(blobs.let_go(plan.take_let_go()))
    orphans = Blob.objects.filter(~Q(Exists(ProjectBlob.objects.filter(blob_id=OuterRef("pk")))))
    for page in _pages(orphans.values_list("id")):
        yield from _blobs([row[0] for row in page])
    yield from _uploads(now)
    dead = StorageObject.objects.filter(state=StorageObject.DEAD, purge_after__lte=now)
    for page in _pages(dead.values_list("id", "storage_key")):
        yield from (Removal("key", key_id, key, DEAD) for key_id, key in page)


class _Shared:
    """Counts down who still uses a row, and tells which rows nobody does any more. What has one user is never kept."""

    def __init__(self, model: Any, column: str) -> None:
        self._model, self._column, self._left = model, column, dict[int, int]()

    def let_go(self, ids: Sequence[int]) -> list[int]:
        """`ids` lose one user for each time they stand here; returns those without any left."""
        lost: dict[int, int] = {}
        for row_id in ids:
            lost[row_id] = lost.get(row_id, 0) + 1
        unknown = [row_id for row_id in lost if row_id not in self._left]
        users = self._model.objects.filter(**{f"{self._column}__in": unknown}).values_list(self._column)
        counted = dict(users.annotate(number=Count("id")))
        free = []
        for row_id, number in lost.items():
            left = self._left.pop(row_id, counted.get(row_id, number)) - number
            if left > 0:
                self._left[row_id] = left
            else:
                free.append(row_id)
        return free


class _ProjectPlan:
    """What goes in one project."""

    def __init__(self, project_id: int, now: datetime, delete_untagged: bool) -> None:
        settings = config()
        self._now, self._delete_untagged, self._project_id = now, delete_untagged, project_id
        self._at_once = not restore_window()
        self._no_grace = self._at_once and not settings.gc_grace
        ended = Repository.objects.filter(project_id=project_id, purge_after__lte=now).order_by("id")
        self._ended = dict(ended.values_list("id", "full_name"))
        self._untagged: set[int] = set()
        self._gone: set[int] = set()
        self.let_go: list[int] = []  # blobs of the charges that were told, until somebody takes them

    def removals(self) -> Iterator[Removal]:
        """In the order of the chain."""
        if self._delete_untagged:
            self._untagged = self._find_untagged()
        self._gone = self._find_gone()
        yield from (Removal("repository", row_id, name, ENDED) for row_id, name in self._ended.items())
        if not self._at_once:
            yield from self._named("trash", sorted(self._untagged))
        yield from self._ended_manifests()
        yield from self._named("manifest", sorted(self._gone))
        charges = _Shared(RepositoryBlob, "project_blob_id")
        for links in self._links():
            yield from (Removal("link", row[0], f"{row[2]}@{row[3]}", NOT_NAMED, row[4]) for row in links)
            yield from self._charges(charges.let_go([row[1] for row in links]))
        unused = ProjectBlob.objects.filter(
            ~Q(Exists(RepositoryBlob.objects.filter(project_blob_id=OuterRef("pk")))), project_id=self._project_id
        )
        for page in _pages(unused.values_list("id")):
            yield from self._charges([row[0] for row in page])

    def take_let_go(self) -> list[int]:
        """Blobs that the project has let go since the last time."""
        taken, self.let_go = self.let_go, []
        return taken

    # -- manifests -----------------------------------------------------------------------------------------------

    def _find_untagged(self) -> set[int]:
        """What trash_untagged would trash: it, those of its descendants that nothing else keeps, then referrers of those."""
        live = Manifest.objects.filter(
            repository__project_id=self._project_id, repository__deleted_at=None, deleted_at=None
        )
        old = live.filter(pushed_at__lte=self._now - config().untagged_age)
        found: set[int] = set()
        for page in _pages(old.filter(is_unreferenced(self._now)).values_list("id")):
            found |= {row[0] for row in page}
        new = set(found)
        while new:
            children = _column(ManifestChild, "parent_id", new, "child_id") - found
            orphaned = set(self._filter(live, children)) - self._kept_by_parents(children, found)
            orphaned -= _column(Tag, "manifest_id", children, "manifest_id")
            referrers = self._referrers(old, new) - found - orphaned
            referrers -= self._kept_by_parents(referrers, found | orphaned)
            new = orphaned | referrers
            found |= new
        return found

    def _referrers(self, old: "QuerySet[Manifest]", subjects: Iterable[int]) -> set[int]:
        """Untagged manifests whose subject is among `subjects`, but for their parents."""
        found: set[int] = set()
        for ids in _batched(subjects):
            digests = Manifest.objects.filter(
                id__in=ids, repository_id=OuterRef("repository_id"), digest=OuterRef("subject_digest")
            )
            keeping = TagHistory.objects.filter(manifest_id=OuterRef("pk"), restorable_until__gt=self._now)
            free = old.filter(
                Exists(digests), ~Q(Exists(Tag.objects.filter(manifest_id=OuterRef("pk")))), ~Q(Exists(keeping)),
                ~Q(Exists(recent_pulls(self._now))),
            )  # fmt: skip
            found |= set(free.values_list("id", flat=True))
        return found

    def _kept_by_parents(self, children: Iterable[int], trashed: set[int]) -> set[int]:
        kept: set[int] = set()
        for ids in _batched(children):
            links = ManifestChild.objects.filter(child_id__in=ids, parent__deleted_at=None)
            kept |= {child for child, parent in links.values_list("child_id", "parent_id") if parent not in trashed}
        return kept

    def _filter(self, manifests: "QuerySet[Manifest]", ids: Iterable[int]) -> Iterator[int]:
        for batch in _batched(ids):
            yield from manifests.filter(id__in=batch).values_list("id", flat=True)

    def _find_gone(self) -> set[int]:
        """What purge_manifests would remove outside ended repositories: due, without a tag, and no parent that stays."""
        due = Manifest.objects.filter(repository__project_id=self._project_id, purge_after__lte=self._now)
        gone = {row[0] for page in _pages(due.exclude(repository_id__in=self._ended).values_list("id")) for row in page}
        if self._at_once:
            gone |= self._untagged
        parents = list(_rows(ManifestChild, "child_id", gone, "child_id", "parent_id"))
        staying = _column(Tag, "manifest_id", gone - self._untagged, "manifest_id")
        staying |= {child for child, parent in parents if parent not in gone}
        while staying:
            gone -= staying
            staying = {child for child, parent in parents if parent in staying and child in gone}
        return gone

    def _ended_manifests(self) -> Iterator[Removal]:
        for repository_id, name in self._ended.items():
            rows = Manifest.objects.filter(repository_id=repository_id)
            for page in _pages(rows.values_list("id", "digest", "payload_size")):
                yield from (Removal("manifest", r[0], f"{name}@{r[1]}", REPOSITORY_ENDED, r[2]) for r in page)

    def _named(self, level: str, ids: Sequence[int]) -> Iterator[Removal]:
        for row in _rows(Manifest, "id", ids, "id", "repository__full_name", "digest", "payload_size"):
            reason = UNTAGGED if row[0] in self._untagged else ENDED
            yield Removal(level, row[0], f"{row[1]}@{row[2]}", reason, row[3])

    # -- blobs ---------------------------------------------------------------------------------------------------

    def _links(self) -> Iterator[list[tuple[int, int, str, str, int]]]:
        """Pages of (id, project_blob, repository, digest, size) that purge_repository_blobs would remove."""
        columns = ("id", "project_blob_id", "repository__full_name", "project_blob__blob__digest", "project_blob__size")
        for repository_id in self._ended:
            yield from _pages(RepositoryBlob.objects.filter(repository_id=repository_id).values_list(*columns))
        due = Q(review_at__lte=self._now)
        if self._no_grace:  # those that only the untagged ones name get their review when these are trashed
            due |= Q(review_at=None)
        links = RepositoryBlob.objects.filter(
            due, repository__project_id=self._project_id, keep_until__lte=self._now
        ).exclude(repository_id__in=self._ended)
        if self._no_grace and not self._untagged:
            links = links.filter(review_at__isnull=False)
        # trashing begins a lease: with a grace, the blobs of what this run trashes outlive it
        letting_go = self._gone if self._no_grace else self._gone - self._untagged
        for page in _pages(links.values_list(*columns)):
            named = ManifestBlob.objects.filter(repository_blob_id__in=[row[0] for row in page])
            kept = {link for link, m in named.values_list("repository_blob_id", "manifest_id") if m not in letting_go}
            yield [row for row in page if row[0] not in kept]

    def _charges(self, ids: Sequence[int]) -> Iterator[Removal]:
        for row in _rows(ProjectBlob, "id", ids, "id", "project__name", "blob__digest", "size", "blob_id"):
            self.let_go.append(row[4])
            yield Removal("charge", row[0], f"{row[1]}@{row[2]}", NOT_USED, row[3])


def _blobs(ids: Sequence[int]) -> Iterator[Removal]:
    for row in _rows(Blob, "id", ids, "id", "digest", "size"):
        yield Removal("blob", row[0], row[1], NOT_CHARGED, row[2])


def _uploads(now: datetime) -> Iterator[Removal]:
    stale = find_stale(now).filter(state=Upload.OPEN)
    for row in stale.order_by("id").values_list("id", "repository__full_name", "received_bytes"):
        yield Removal("upload", row[0], f"{row[1]}/{row[0]}", ABANDONED, row[2])


def _pages(rows: "QuerySet[Any, Any]") -> Iterator[list[Any]]:
    """A values_list() beginning with the id, by key, so that no statement and no page is large."""
    last, ordered = 0, rows.order_by("id")
    while page := list(ordered.filter(id__gt=last)[:PAGE]):
        yield page
        last = page[-1][0]


def _rows(model: Any, column: str, values: Iterable[int], *columns: str) -> Iterator[Any]:
    for batch in _batched(values):
        yield from model.objects.filter(**{f"{column}__in": batch}).values_list(*columns)


def _column(model: Any, column: str, values: Iterable[int], wanted: str) -> set[int]:
    return {row[0] for row in _rows(model, column, values, wanted)}


def _batched(values: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(values)
    while batch := list(islice(iterator, PAGE // 2)):
        yield batch
