"""What people do to an artifact, whose accessories go with it (Harbor: all of them are hard references)."""

from haven_core.domain.origin import HAVEN, Origin
from haven_core.errors import Forbidden
from haven_registry.artifact_filters import is_accessory
from haven_registry.models import Manifest
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest


def delete_artifact(*, repository_id: int, digest: str, origin: Origin = HAVEN) -> None:
    """Into the trash with its accessories, in one transaction. Raises and locks as delete_manifest."""
    delete_manifest(repository_id=repository_id, digest=digest, with_accessories=True, origin=origin)


def copy_with_accessories(
    *, source_repository_id: int, digest: str, manifest_id: int, repository_id: int, project_id: int, origin: Origin
) -> None:
    """An artifact with all its tags and accessories, and those of its children, into another repository, in one
    transaction. Labels are not copied (harbor: controller.copyDeeply): they are what a project says of its own.

    Raises Forbidden for an accessory, which is copied with its subject only (Harbor), and what copy_artifact does.
    """
    if Manifest.objects.filter(is_accessory(), id=manifest_id).exists():
        raise Forbidden("an accessory is copied with its subject only")
    copy_artifact(
        source_repository_id=source_repository_id, digest=digest, repository_id=repository_id, project_id=project_id,
        with_accessories=True, pushed_by=origin.name, address=origin.address,
    )  # fmt: skip
