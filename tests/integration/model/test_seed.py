"""`haven seed`: what it makes is sound, can be pulled, and leaves the registry as ready for pushes as it was."""

import hashlib
from typing import Any

import pytest
from django.core.management import call_command

from haven_core.db import backend
from haven_core.models import AuditLog, Label, Project, ProjectMember, Robot, User
from haven_gc import fsck
from haven_project.seeding.run import NotEmpty, seed
from haven_project.seeding.scale import SCALES, Scale, ScaleError, shares
from haven_registry import selectors
from haven_registry.models import ArtifactDetail, Blob, Manifest, Repository, StorageObject, Tag
from haven_registry.oci.manifest import parse_manifest
from haven_registry.services.details import explain
from haven_registry.storage import open_storage
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import StorageError
from tests.support.site import Site

TINY = Scale(projects=3, repositories=12, artifacts=600, users=5)


@pytest.fixture
def driver(transactional_db: None) -> StorageDriver:
    return open_storage("memory://")


def digests() -> set[str]:
    return set(Manifest.objects.values_list("digest", flat=True))


def test_everything_is_there_and_sound(driver: StorageDriver) -> None:
    said: list[str] = []
    seed(TINY, driver, show=said.append)
    assert fsck.check() == {}
    assert list(fsck.check_bytes(driver)) == []
    assert [model.objects.count() for model in (Project, Repository, Manifest, User)] == [3, 12, 600, 5]
    assert ProjectMember.objects.count() == 15
    assert Robot.objects.filter(project=None).count() == 10
    assert Label.objects.exclude(project=None).count() == 6
    assert AuditLog.objects.count() == 60
    biggest = Tag.objects.filter(repository__full_name="payments/order-api")
    assert biggest.count() == 6 * 5 + 1
    assert said[0].startswith("600 of 600 artifacts, ")


def test_what_is_known_of_a_seeded_artifact_is_what_its_push_would_tell(driver: StorageDriver) -> None:
    seed(TINY, driver)
    columns = ("manifest_id", "platform", "created", "author", "extra", "annotations", "children", "history", "error")
    told = {row[0]: row[1:] for row in ArtifactDetail.objects.values_list(*columns)}
    ArtifactDetail.objects.all().delete()
    ids = list(told)
    explain(ids, driver)
    assert {row[0]: row[1:] for row in ArtifactDetail.objects.values_list(*columns)} == told


def test_a_seeded_image_can_be_pulled(driver: StorageDriver) -> None:
    seed(TINY, driver)
    for repository in Repository.objects.values_list("full_name", flat=True):
        project, _, name = repository.partition("/")
        found = selectors.find_manifest(project, name, tag="latest")
        assert found is not None
        payload = bytes(Manifest.objects.values_list("payload", flat=True).get(id=found.id))
        assert "sha256:" + hashlib.sha256(payload).hexdigest() == found.digest
        for _, blob in parse_manifest(payload, found.media_type).required_blobs:
            stored = selectors.find_blob(project, name, str(blob.digest))
            assert stored is not None
            data = b"".join(driver.read(stored.storage_key))
            assert (len(data), "sha256:" + hashlib.sha256(data).hexdigest()) == (blob.size, str(blob.digest))


def test_the_number_decides_what_is_made(driver: StorageDriver) -> None:
    made = []
    for number in (1, 1, 2):
        seed(TINY, driver, number=number)
        made.append((digests(), set(Repository.objects.values_list("full_name", "description"))))
        call_command("flush", verbosity=0, interactive=False)
    assert made[0] == made[1]
    assert not made[0][0] & made[2][0]


def test_it_refuses_a_registry_in_use_unless_told(driver: StorageDriver) -> None:
    site = Site(driver)
    digest = site.push(b"mine", "v1")
    with pytest.raises(NotEmpty, match="--add"):
        seed(TINY, driver)
    assert (digests(), Project.objects.count(), User.objects.count()) == ({digest}, 2, 0)
    seed(TINY, driver, adds=True)
    assert digests() > {digest}
    with pytest.raises(NotEmpty, match="payments already"):
        seed(TINY, driver, adds=True)
    assert (Manifest.objects.count(), Project.objects.count()) == (601, 5)
    assert site.push(b"another", "v2") in digests()  # ids go on behind those of the seed
    assert fsck.check() == {}


def schema() -> set[Any]:
    """Keys and indexes, by definition."""
    if not backend.is_postgresql():
        return set(backend.sql("SELECT name, sql FROM sqlite_master"))
    constraints = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    return {*backend.sql("SELECT tablename, indexname, indexdef FROM pg_indexes"), *backend.sql(constraints)}


def test_keys_and_indexes_are_as_before(driver: StorageDriver) -> None:
    before = schema()
    seed(TINY, driver)
    assert schema() == before


def test_a_seed_that_fails_leaves_nothing(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    before, put, calls = schema(), driver.put, []

    def fails_late(key: str, data: bytes) -> None:
        calls.append(key)
        if len(calls) == 20:
            raise StorageError("the disk is full")
        put(key, data)

    monkeypatch.setattr(driver, "put", fails_late)
    with pytest.raises(StorageError):
        seed(TINY, driver)
    assert [model.objects.count() for model in (User, Project, Blob, StorageObject)] == [0, 0, 0, 0]
    assert schema() == before


@pytest.mark.parametrize(
    "scale",
    [Scale(0, 1, 1, 1), Scale(1, 1, 1, 0), Scale(3, 2, 9, 1), Scale(1, 5, 4, 1)],
    ids=["no project", "nobody", "projects without repository", "repositories without artifact"],
)
def test_numbers_that_do_not_go_together_are_refused(driver: StorageDriver, scale: Scale) -> None:
    with pytest.raises(ScaleError):
        seed(scale, driver)
    assert Project.objects.count() == 0


@pytest.mark.parametrize("scale", [*SCALES.values(), TINY, Scale(1, 1, 1, 1), Scale(2, 7, 7, 1)])
def test_shares_add_up(scale: Scale) -> None:
    scale.check()
    made = shares(scale.repositories, [(number + 5) ** -0.5 for number in range(scale.projects)])
    assert (sum(made), len(made), min(made) >= 1) == (scale.repositories, scale.projects, True)
    assert scale.biggest_repository + scale.repositories - 1 <= scale.artifacts
