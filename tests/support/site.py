"""A small registry for tests of the model: projects, a repository, and what clients do, without HTTP."""

from dataclasses import replace
from typing import Any

from django.utils import timezone

from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN
from haven_core.models import Project, ProjectQuota
from haven_gc import collect, sweep
from haven_registry import selectors
from haven_registry.models import Repository
from haven_registry.oci.manifest import parse_manifest
from haven_registry.services import uploads
from haven_registry.services.manifests import PutResult, put_manifest
from haven_registry.services.publishing import commit_upload
from haven_registry.services.repositories import get_or_create_repository, hold_repository, show_repository
from haven_registry.storage.driver import StorageDriver
from tests.support.documents import digest_of, image

OWNER = "user:1"


class Site:
    """Project `first` with repository `first/app` (the default of every method), and project `second`."""

    def __init__(self, driver: StorageDriver) -> None:
        self.driver = driver
        self.first, self.second = (Project.objects.create(name=name).id for name in ("first", "second"))
        for project_id in (self.first, self.second):
            ProjectQuota.objects.create(project_id=project_id)
        self.repository = seen_repository(self.first, "app")

    def new_repository(self, project_id: int, name: str) -> int:
        """A repository by the name below its project."""
        return seen_repository(project_id, name)

    def project_of(self, repository: int | None = None) -> int:
        """The project that the repository is in."""
        return Repository.objects.get(id=repository or self.repository).project_id

    def start_upload(self, data: bytes, repository: int | None = None) -> uploads.OpenUpload:
        """A session with all of `data` received, sealed at its key."""
        upload = uploads.start_upload(repository_id=repository or self.repository, owner=OWNER)
        writer = self.driver.append(upload.key, None, 0)
        writer.write(data)
        staging = writer.close()
        upload = uploads.record_progress(
            upload, received_bytes=len(data), prefix_digest=digest_of(data), staging=staging
        )
        self.driver.seal(upload.key, staging, len(data))
        return upload

    def commit(self, upload: uploads.OpenUpload, data: bytes, **more: Any) -> str:
        """Publish what start_upload received, as the view does for what nobody had when it looked."""
        commit_upload(upload=replace(upload, is_new=True), digest=digest_of(data), size=len(data), **more)
        return digest_of(data)

    def upload(self, data: bytes, repository: int | None = None) -> str:
        """A blob, whole."""
        return self.commit(self.start_upload(data, repository), data)

    def put(self, payload: bytes, *tags: str, repository: int | None = None, **more: Any) -> PutResult:
        """A manifest, with tags."""
        return put_manifest(
            repository=repository or self.repository, parsed=parse_manifest(payload, None),
            payload=payload, digest=digest_of(payload), tags=tags, pushed_by="somebody", **more,
        )  # fmt: skip

    def push(self, data: bytes, *tags: str, repository: int | None = None, **more: Any) -> str:
        """An image of one blob; returns its digest."""
        payload = image(self.upload(data, repository), nonce=data.hex()[:64], **more)
        return self.put(payload, *tags, repository=repository).digest

    def shows(self, digest: str, repository: int | None = None) -> bool:
        """Whether HEAD of the blob would be 200."""
        return selectors.find_blob_in(repository or self.repository, digest) is not None

    def tag(self, name: str) -> str | None:
        """The digest that `first/app:name` answers."""
        found = selectors.find_manifest("first", "app", tag=name)
        return found.digest if found else None

    def is_live(self, digest: str) -> bool:
        """Whether the manifest answers in `first/app`."""
        return selectors.find_manifest("first", "app", digest=digest) is not None

    def used(self, project_id: int | None = None) -> int:
        """Bytes charged to the project."""
        return ProjectQuota.objects.get(project_id=project_id or self.first).used_bytes

    def limit(self, hard_bytes: int) -> None:
        """Set the first project's quota."""
        ProjectQuota.objects.filter(project_id=self.first).update(hard_bytes=hard_bytes)

    def collect(self, **options: Any) -> None:
        """Garbage collection until there is nothing left to do."""
        for _ in range(50):
            done = collect.collect(self.first, scan=True, **options)
            blobs = sum(freed.blobs for freed in collect.purge_unused_blobs())
            swept = sweep.sweep(self.driver)
            if collect.was_idle(done) and not swept.removed and not blobs:
                return
        raise AssertionError("garbage collection finds no end")

    def stored_keys(self) -> list[str]:
        """Keys with bytes."""
        return sorted(found.key for found in self.driver.list_keys())


def seen_repository(project_id: int, name: str) -> int:
    """A repository as its first manifest leaves it, without the manifest; returns its id."""
    repository_id = get_or_create_repository(project_id, name)
    run_write(lambda: show_repository(hold_repository(repository_id), timezone.now(), HAVEN))
    return repository_id
