"""What a repository offers to retention."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from haven_core.domain.retention import Candidate
from haven_core.domain.side_tags import is_side_tag
from haven_registry.artifacts import kinds
from haven_registry.models import Manifest, ManifestChild, PullDaily, Tag


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    pushed_at: datetime
    is_restored: bool
    is_immutable: bool


@dataclass(frozen=True, slots=True)
class _Manifest:
    id: int
    digest: str
    pushed_at: datetime
    is_restored: bool
    kind: str
    subject: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """A repository's live manifests, their tags and pulls, and which live indexes name a manifest (parents).

    immutable_below, restored_below: manifests that would take an accessory with such a tag along.
    """

    manifests: Mapping[int, _Manifest]
    tags: Mapping[int, tuple[_Tag, ...]]
    pulls: Mapping[tuple[str, str], datetime]
    parents: Mapping[int, frozenset[int]]
    immutable_below: frozenset[int]
    restored_below: frozenset[int]

    def artifacts(self) -> list[Candidate]:
        """Each artifact with its tags (Harbor). Not among them: accessories, and what only an index keeps.

        An artifact is as young as its youngest push, and was last pulled when any of its tags, or its digest, was.
        """
        return [self._artifact(manifest) for manifest in self.manifests.values() if self._is_candidate(manifest)]

    def single_tags(self) -> list[Candidate]:
        """Each tag by itself, and each artifact that has none.

        A pull by digest counts for all tags of the manifest: many clients resolve a tag, then pull by digest.
        """
        found = []
        for manifest in filter(self._is_candidate, self.manifests.values()):
            named = self._named(manifest)
            found += [self._single(manifest, tag) for tag in named] if named else [self._artifact(manifest)]
        return found

    def pushed_tags(self, manifest_id: int) -> dict[str, datetime]:
        """All tags of the manifest and when each was pushed."""
        return {tag.name: tag.pushed_at for tag in self.tags.get(manifest_id, ())}

    def untagged(self) -> set[int]:
        """Manifests without tags, accessories among them."""
        return {manifest_id for manifest_id in self.manifests if not self.tags.get(manifest_id)}

    def _is_candidate(self, manifest: _Manifest) -> bool:
        if manifest.subject is not None:
            return False
        if self.tags.get(manifest.id):
            return bool(self._named(manifest))
        return not self.parents.get(manifest.id)

    def _named(self, manifest: _Manifest) -> list[_Tag]:
        return [tag for tag in self.tags.get(manifest.id, ()) if not is_side_tag(tag.name)]

    def _artifact(self, manifest: _Manifest) -> Candidate:
        tags, named = self.tags.get(manifest.id, ()), self._named(manifest)
        pulls = [self.pulls.get((manifest.digest, tag)) for tag in ("", *(tag.name for tag in named))]
        return Candidate(
            manifest_id=manifest.id,
            digest=manifest.digest,
            tags=tuple(tag.name for tag in named),
            created_at=manifest.pushed_at,
            pushed_at=max([manifest.pushed_at, *(tag.pushed_at for tag in named)]),
            pulled_at=max(filter(None, pulls), default=None),
            is_immutable=any(tag.is_immutable for tag in tags) or manifest.id in self.immutable_below,
            is_restored=(any(tag.is_restored for tag in tags) if tags else manifest.is_restored)
            or manifest.id in self.restored_below,
        )

    def _single(self, manifest: _Manifest, tag: _Tag) -> Candidate:
        pulls = [self.pulls.get((manifest.digest, name)) for name in ("", tag.name)]
        return Candidate(
            manifest_id=manifest.id,
            digest=manifest.digest,
            tags=(tag.name,),
            created_at=manifest.pushed_at,
            pushed_at=tag.pushed_at,
            pulled_at=max(filter(None, pulls), default=None),
            is_immutable=tag.is_immutable,
            is_restored=tag.is_restored,
        )


def load_contents(repository_id: int, is_immutable: Callable[[str], bool] | None) -> Contents:
    """Read a repository. Four SQL statements, whatever it holds; no lock: a removal looks again."""
    live = Manifest.objects.filter(repository_id=repository_id, deleted_at=None).order_by("id")
    manifests = {
        row_id: _Manifest(row_id, digest, pushed_at, restored_at is not None, kind, subject)
        for row_id, digest, pushed_at, restored_at, kind, subject in live.values_list(
            "id", "digest", "pushed_at", "restored_at", "kind", "subject_digest"
        )
    }
    tags: dict[int, list[_Tag]] = {}
    rows = Tag.objects.filter(repository_id=repository_id).order_by("name")
    for manifest_id, name, pushed_at, restored_at in rows.values_list(
        "manifest_id", "name", "updated_at", "restored_at"
    ):
        protected = is_immutable is not None and is_immutable(name)
        tags.setdefault(manifest_id, []).append(_Tag(name, pushed_at, restored_at is not None, protected))
    pulled = PullDaily.objects.filter(repository_id=repository_id, last_pulled_at__isnull=False)
    pulls = pulled.values_list("manifest_digest", "tag_name")
    parents: dict[int, set[int]] = {}
    links = ManifestChild.objects.filter(parent__repository_id=repository_id, parent__deleted_at=None)
    for child, parent in links.values_list("child_id", "parent_id"):
        parents.setdefault(child, set()).add(parent)
    immutable = {manifest_id for manifest_id, found in tags.items() if any(tag.is_immutable for tag in found)}
    restored = {manifest_id for manifest_id, found in tags.items() if any(tag.is_restored for tag in found)}
    subjects = _subjects(manifests, tags)
    return Contents(
        manifests,
        {manifest_id: tuple(found) for manifest_id, found in tags.items()},
        {(digest, tag): at for digest, tag, at in pulls.annotate(at=Max("last_pulled_at"))},
        {child: frozenset(found) for child, found in parents.items()},
        _who_takes_along(immutable, subjects, parents, tags),
        _who_takes_along(restored, subjects, parents, tags),
    )


def _subjects(manifests: Mapping[int, _Manifest], tags: Mapping[int, Collection[_Tag]]) -> dict[int, set[int]]:
    """What each accessory belongs to (haven_registry.accessories says which these are)."""
    ids, found = {manifest.digest: manifest.id for manifest in manifests.values()}, dict[int, set[int]]()
    for manifest in manifests.values():
        named = [kinds.subject_of_tag(tag.name) for tag in tags.get(manifest.id, ())]
        by_tag = [one[0] for one in named if one is not None and manifest.kind in kinds.BY_COSIGN_TAG]
        of = {ids[digest] for digest in (manifest.subject, *by_tag) if digest in ids} - {manifest.id}
        if of:
            found[manifest.id] = of
    return found


def _who_takes_along(
    protected: Collection[int],
    subjects: Mapping[int, Collection[int]],
    parents: Mapping[int, Collection[int]],
    tags: Collection[int],
) -> frozenset[int]:
    """Manifests whose delete would take one of the protected along: their subjects, and theirs; of one without tags its
    indexes, too."""
    found, level = set[int](), [one for one in protected if one in subjects]
    while level:
        above: set[int] = set()
        for one in level:
            above.update(subjects.get(one, ()))
            above.update(() if one in tags else parents.get(one, ()))
        level = sorted(above - found)
        found |= above
    return frozenset(found)
