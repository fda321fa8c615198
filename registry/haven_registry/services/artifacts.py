"""What people do to an artifact, whose accessories go with it (Harbor: all of them are hard references)."""

from collections.abc import Iterator

from haven_core.domain.origin import HAVEN, Origin
from haven_core.errors import Forbidden
from haven_registry.accessories import list_accessories_of
from haven_registry.artifact_filters import is_accessory
from haven_registry.errors import ManifestReferenced, ManifestUnknown
from haven_registry.models import Manifest, Tag
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest, descendants


def delete_artifact(*, repository_id: int, digest: str, manifest_id: int, origin: Origin = HAVEN) -> None:
    """Into the trash, and then the accessories of it and of the children that went with it, each in a transaction of its
    own: a restore brings each back alone, and accessories that a crash left behind are untagged manifests without a
    subject, garbage collection's to find.

    Raises what delete_manifest does, for the artifact; an accessory that an index names stays.
    """
    family = descendants(manifest_id)
    delete_manifest(repository_id=repository_id, digest=digest, origin=origin)
    gone = Manifest.objects.filter(id__in=family, deleted_at__isnull=False)
    for _, accessory in list(_accessories(repository_id, dict(gone.values_list("digest", "id")))):
        try:
            delete_manifest(repository_id=repository_id, digest=accessory, origin=origin)
        except (ManifestUnknown, ManifestReferenced):
            continue


def copy_with_accessories(
    *, source_repository_id: int, digest: str, manifest_id: int, repository_id: int, project_id: int, origin: Origin
) -> None:
    """An artifact with all its tags and accessories, and those of its children, into another repository, the artifact
    first. Labels are not copied (harbor: controller.copyDeeply): they are what a project says of its own.

    Raises Forbidden for an accessory, which is copied with its subject only (Harbor), and what copy_artifact does.
    """
    if Manifest.objects.filter(is_accessory(), id=manifest_id).exists():
        raise Forbidden("an accessory is copied with its subject only")
    family = Manifest.objects.filter(id__in=descendants(manifest_id)).values_list("digest", "id")
    wanted = [(manifest_id, digest), *_accessories(source_repository_id, dict(family))]
    tags: dict[int, list[str]] = {}
    names = Tag.objects.filter(manifest_id__in=[row_id for row_id, _ in wanted])
    for row_id, name in names.values_list("manifest_id", "name"):
        tags.setdefault(row_id, []).append(name)
    for row_id, each in wanted:
        try:
            copy_artifact(
                source_repository_id=source_repository_id, digest=each, repository_id=repository_id,
                project_id=project_id, tags=tags.get(row_id, []), pushed_by=origin.name, address=origin.address,
            )  # fmt: skip
        except ManifestUnknown:  # an accessory that was deleted meanwhile
            if row_id == manifest_id:
                raise


def _accessories(repository_id: int, subjects: dict[str, int]) -> Iterator[tuple[int, str]]:
    """Id and digest of all accessories, and of theirs, level by level; each once."""
    seen = set(subjects.values())
    while subjects:
        found = list_accessories_of(repository_id, subjects)
        level = {view.digest: view.id for views in found.values() for view in views if view.id not in seen}
        seen |= set(level.values())
        yield from ((row_id, digest) for digest, row_id in level.items())
        subjects = level
