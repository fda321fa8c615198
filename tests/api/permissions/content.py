"""What the tables about repositories and artifacts find in `private/app`."""

from django.utils import timezone

from haven_core.labels.models import Label
from haven_core.projects.models import Project
from haven_registry import store
from haven_registry.artifact_list import find_artifact
from haven_registry.models import ArtifactLabel, Blob, Manifest, Repository, StorageObject, TagHistory
from haven_registry.services.artifacts import delete_artifact
from haven_registry.services.blobs import link_blobs
from haven_registry.services.details import load_details
from haven_registry.services.repositories import delete_repository
from haven_registry.services.tags import delete_tag
from haven_registry.storage.keys import new_key
from tests.support.documents import digest_of
from tests.support.site import Site


class _Site(Site):
    """Inside the test's transaction, where an upload session can't commit as it likes to."""

    def upload(self, data: bytes, repository: int | None = None) -> str:
        """A blob, as a session would leave it."""
        repository = repository or self.repository
        key = new_key()
        writer = self.driver.append(key, None, 0)
        writer.write(data)
        self.driver.seal(key, writer.close(), len(data))
        stored = StorageObject.objects.create(storage_key=key, state=StorageObject.LIVE)
        blob = Blob.objects.create(digest=digest_of(data), size=len(data), object=stored)
        link_blobs(repository, self.project_of(repository), [(blob.pk, len(data))], timezone.now())
        return digest_of(data)


def push_content(project_id: int, label_id: int) -> dict[str, int]:
    """An image `v1`, `kept`, with a label, which was another before; a signature; an artifact, a tag and a repository in the
    trash. Their ids. All are explained, so that reading them writes nothing."""
    site = _Site(store.driver())
    owner = Project.objects.get(id=project_id).owner
    Project.objects.filter(id__in=(site.first, site.second)).update(owner=owner)  # as each that a service makes has
    site.repository = site.new_repository(project_id, "app")
    gone = site.new_repository(project_id, "gone")
    site.push(b"old", "v1", "lost")
    digest = site.push(b'{"os": "linux", "architecture": "amd64"}', "v1", "kept")
    site.push(b"signature", subject={"mediaType": "x/y", "digest": digest, "size": 1})
    deleted = site.push(b"deleted", "deleted")
    site.push(b"in gone", "v1", repository=gone)
    load_details(list(Manifest.objects.values_list("id", flat=True)), site.driver)
    ArtifactLabel.objects.create(
        manifest_id=find_artifact(site.repository, "kept").id, label=Label.objects.get(id=label_id)
    )
    delete_tag(repository_id=site.repository, name="lost")
    delete_artifact(repository_id=site.repository, digest=deleted)
    delete_repository(gone)
    return {
        "trashed_artifact": Manifest.objects.get(deleted_at__isnull=False).pk,
        "trashed_tag": TagHistory.objects.get(reason=TagHistory.DELETED).pk,
        "trashed_repository": Repository.objects.get(deleted_at__isnull=False).pk,
    }
