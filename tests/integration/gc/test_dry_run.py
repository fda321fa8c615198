"""A dry run names what the real run that follows removes: no more, no less, in random small registries."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from haven_core.errors import HavenError
from haven_gc.plan import Removal, plan_removals
from haven_registry.models import Blob, Manifest, ProjectBlob, Repository, RepositoryBlob, StorageObject, Upload
from haven_registry.oci import media_types
from haven_registry.services import repositories, uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pulls import PullCount, apply_pull_batch
from haven_registry.services.restore import restore_manifest
from haven_registry.services.tags import delete_tag
from tests.integration.gc.conftest import Clock, RunJob
from tests.support.documents import descriptor, digest_of, image, index
from tests.support.site import OWNER, Site

LEVELS: dict[str, Any] = {
    "repository": Repository, "manifest": Manifest, "link": RepositoryBlob, "charge": ProjectBlob, "blob": Blob,
}  # fmt: skip


class World:
    """What people do with a registry, by chance."""

    def __init__(self, site: Site, clock: Clock, seed: int) -> None:
        self.site, self.clock, self.random = site, clock, random.Random(seed)
        self.repositories = [
            site.repository, site.new_repository(site.first, "web"), site.new_repository(site.second, "db"),
            site.new_repository(site.second, "cache"),
        ]  # fmt: skip
        self.pushed: list[tuple[int, str]] = []  # repository, digest

    def live(self, steps: int) -> None:
        acts = [
            self.push, self.push, self.push, self.push, self.index, self.index, self.refer, self.delete, self.delete,
            self.untag, self.pull, self.upload, self.blob, self.drop, self.restore, self.wait, self.wait,
        ]  # fmt: skip
        for _ in range(steps):
            with suppress(HavenError):
                self.random.choice(acts)()

    def push(self) -> None:
        repository = self.random.choice(self.repositories)
        data = [self.site.upload(bytes([self.random.randrange(12)]) * 7, repository) for _ in range(2)]
        self._put(repository, image(*data, nonce=self.random.randrange(9)))

    def index(self) -> None:
        repository, children = self._some()
        self._put(repository, index(*children, nonce=self.random.randrange(9)))

    def refer(self) -> None:
        repository, subjects = self._some(1)
        blob = self.site.upload(b"signature", repository)
        subject = descriptor(media_types.OCI_MANIFEST, subjects[0])
        self._put(repository, image(blob, nonce=self.random.randrange(99), subject=subject))

    def delete(self) -> None:
        repository, digests = self._some(1)
        delete_manifest(repository_id=repository, digest=digests[0])

    def restore(self) -> None:
        repository, digests = self._some(1)
        restore_manifest(repository_id=repository, digest=digests[0])

    def untag(self) -> None:
        delete_tag(repository_id=self.random.choice(self.repositories), name=self.random.choice("abc"))

    def pull(self) -> None:
        repository, digests = self._some(1)
        now = timezone.now()
        apply_pull_batch(uuid4(), [PullCount(repository, digests[0], "", now.date(), 1, now)])

    def upload(self) -> None:
        uploads.start_upload(repository_id=self.random.choice(self.repositories), owner=OWNER)

    def blob(self) -> None:
        self.site.upload(self.random.randbytes(5), self.random.choice(self.repositories))

    def drop(self) -> None:
        if self.random.random() < 0.4:
            repositories.delete_repository(repository_id=self.random.choice(self.repositories))

    def wait(self) -> None:
        self.clock.advance(hours=self.random.choice((1, 10, 30, 200)))

    def _some(self, number: int = 2) -> tuple[int, list[str]]:
        repository = self.random.choice(self.repositories)
        mine = [digest for where, digest in self.pushed if where == repository]
        return repository, self.random.sample(mine, min(number, len(mine))) if mine else ["sha256:" + "0" * 64]

    def _put(self, repository: int, payload: bytes) -> None:
        tags = self.random.sample("abc", self.random.choice((0, 0, 1, 2)))
        self.site.put(payload, *tags, repository=repository)
        self.pushed.append((repository, digest_of(payload)))


def ids(model: Any) -> set[Any]:
    return set(model.objects.values_list("id", flat=True))


def of(level: str, removals: list[Removal]) -> set[Any]:
    found = [removal.id for removal in removals if removal.level == level]
    assert len(found) == len(set(found)), f"a {level} is named twice"
    return set(found)


@pytest.mark.parametrize("seed", range(40))
def test_the_real_run_removes_what_the_dry_run_named(
    site: Site, clock: Clock, windows: Callable[..., None], run_job: RunJob, seed: int
) -> None:
    choice = random.Random(seed)
    restore, grace = choice.choice(((0, 0), (0, 24), (168, 24), (24, 0)))
    windows(restore_window=restore, gc_grace=grace, upload_lease=choice.choice((0, 24)), head_margin=0)
    World(site, clock, seed).live(90)
    delete_untagged = choice.random() < 0.7
    before = {level: ids(model) for level, model in LEVELS.items()}
    live = set(Manifest.objects.filter(deleted_at=None).values_list("id", flat=True))
    open_uploads = set(Upload.objects.filter(state=Upload.OPEN).values_list("id", flat=True))
    keys = ids(StorageObject)
    planned = list(plan_removals(timezone.now(), delete_untagged=delete_untagged))
    assert {level: ids(model) for level, model in LEVELS.items()} == before, "a dry run changes nothing"

    dry = run_job(dry_run=True, delete_untagged=delete_untagged)
    real = run_job(delete_untagged=delete_untagged)

    for level, model in LEVELS.items():
        assert of(level, planned) == before[level] - ids(model), level
    if restore:
        assert of("trash", planned) == live & set(
            Manifest.objects.filter(deleted_at__isnull=False, repository__deleted_at=None).values_list("id", flat=True)
        )
    gone = open_uploads - set(Upload.objects.filter(state=Upload.OPEN).values_list("id", flat=True))
    assert of("upload", planned) <= gone
    assert of("key", planned) <= keys - ids(StorageObject)
    for total in ("purged_manifests", "purged_blobs", "freed_space"):
        assert dry.result[total] == real.result[total]
