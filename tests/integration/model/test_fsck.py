"""fsck names exactly what is broken: each invariant is breached once, behind the services' back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from haven_core.db import backend
from haven_gc import fsck
from haven_registry.models import Manifest, RepositoryBlob, StorageObject
from haven_registry.services import uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.storage import open_storage
from tests.support.documents import digest_of, index
from tests.support.site import OWNER, Site


@pytest.fixture
def busy(transactional_db: None, windows: Callable[..., None]) -> Site:
    """One of everything: a tagged index with a child, trash, a second repository, another project, an open upload."""
    site = Site(open_storage("memory://"))
    site.put(index(site.push(b"child")), "tagged")
    delete_manifest(repository_id=site.repository, digest=site.push(b"trash"))
    site.push(b"neighbour", "t", repository=site.new_repository(site.first, "neighbour"))
    site.push(b"foreign", "t", repository=site.new_repository(site.second, "foreign"))
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    assert fsck.check() == {}
    return site


def manifest_of(data: bytes) -> str:
    """SQL for the id of the manifest that push(data) made."""
    return (
        "(SELECT manifest_id FROM manifest_blob mb JOIN repository_blob rb ON rb.id = mb.repository_blob_id "
        f"JOIN project_blob pb ON pb.id = rb.project_blob_id JOIN blob b ON b.id = pb.blob_id WHERE {is_blob(data)})"
    )


def is_blob(data: bytes) -> str:
    """SQL for "b is that blob"."""
    raw = "01" + digest_of(data).removeprefix("sha256:")
    return f"b.digest = '\\x{raw}'" if backend.is_postgresql() else f"b.digest = x'{raw}'"


def project_blob(data: bytes) -> str:
    """SQL for the id of a blob's charge."""
    return f"(SELECT pb.id FROM project_blob pb JOIN blob b ON b.id = pb.blob_id WHERE {is_blob(data)})"


BREACHES: dict[str, Callable[[], str]] = {
    "quota_drift": lambda: (
        "UPDATE project_quota SET used_bytes = used_bytes + 1 WHERE used_bytes = "
        "(SELECT max(used_bytes) FROM project_quota)"
    ),
    "tag_names_trash": lambda: f"UPDATE tag SET manifest_id = {manifest_of(b'trash')} WHERE name = 'tagged'",
    "live_index_with_trashed_child": lambda: (
        f"UPDATE manifest SET deleted_at = pushed_at, purge_after = pushed_at WHERE id = {manifest_of(b'child')}"
    ),
    "unreferenced_link_without_review": lambda: (
        f"UPDATE repository_blob SET review_at = NULL WHERE project_blob_id = {project_blob(b'trash')}"
    ),
    "blob_key_not_live": lambda: (
        "UPDATE storage_object SET state = 'dead', purge_after = created_at "
        f"WHERE id = (SELECT object_id FROM blob b WHERE {is_blob(b'child')})"
    ),
    "live_key_without_blob": lambda: (
        "INSERT INTO storage_object (storage_key, state, created_at) "
        "SELECT 'blobs/00/stray', 'live', created_at FROM storage_object LIMIT 1"
    ),
    "open_upload_without_staged_key": lambda: "DELETE FROM storage_object WHERE state = 'staged'",
    "staged_key_without_open_upload": lambda: "UPDATE upload SET state = 'cancelled' WHERE state = 'open'",
    "project_blob_size": lambda: (
        f"UPDATE blob SET size = size + 1 WHERE id = (SELECT b.id FROM blob b WHERE {is_blob(b'child')})"
    ),
    "manifest_in_an_unseen_repository": lambda: "UPDATE repository SET appeared_at = NULL WHERE name = 'app'",
    "repository_full_name": lambda: "UPDATE repository SET full_name = 'first/else' WHERE name = 'app'",
    "link_across_projects": lambda: (
        f"UPDATE repository_blob SET project_blob_id = {project_blob(b'foreign')} "
        f"WHERE project_blob_id = {project_blob(b'child')}"
    ),
    "manifest_blob_across_repositories": lambda: (
        "UPDATE manifest_blob SET repository_blob_id = "
        f"(SELECT id FROM repository_blob WHERE project_blob_id = {project_blob(b'neighbour')}) "
        f"WHERE manifest_id = {manifest_of(b'trash')}"
    ),
    "child_across_repositories": lambda: f"UPDATE manifest_child SET child_id = {manifest_of(b'neighbour')}",
    "tag_across_repositories": lambda: (
        f"UPDATE tag SET manifest_id = {manifest_of(b'neighbour')} WHERE name = 'tagged'"
    ),
}


@contextmanager
def reference_to_nothing() -> Iterator[None]:
    """What a hand at the database can do: with SQLite's own shell keys are not enforced; in PostgreSQL they can be added
    so that what is there is not looked at."""
    if backend.is_postgresql():
        backend.sql(
            "ALTER TABLE blob ADD CONSTRAINT planted FOREIGN KEY (object_id) REFERENCES storage_object (id) NOT VALID"
        )
        try:
            yield
        finally:
            backend.sql("ALTER TABLE blob DROP CONSTRAINT planted")
        return
    backend.sql("PRAGMA foreign_keys = OFF")
    try:
        backend.sql(f"DELETE FROM storage_object WHERE id = (SELECT object_id FROM blob b WHERE {is_blob(b'child')})")
        yield
    finally:
        backend.sql("PRAGMA foreign_keys = ON")


def test_a_row_that_refers_to_nothing_is_found(busy: Site):
    """Every other invariant joins along the keys, and so is blind to it."""
    with reference_to_nothing():
        assert fsck.check() == {"reference_to_nothing": 1}


@pytest.mark.parametrize("name", [name for name in fsck.INVARIANTS if name != "reference_to_nothing"])
def test_each_breach_is_named_and_nothing_else(busy: Site, name: str):
    if name == "payload_size":
        manifest = Manifest.objects.order_by("id")[0]
        Manifest.objects.filter(id=manifest.id).update(payload=bytes(manifest.payload) + b" ")
    else:
        backend.sql(BREACHES[name]())
    assert fsck.check() == {name: 1}


def test_every_blob_without_its_bytes_is_named(busy: Site):
    assert list(fsck.check_bytes(busy.driver)) == []
    keys = dict(
        RepositoryBlob.objects.filter(repository_id=busy.repository).values_list(
            "project_blob__blob__digest", "project_blob__blob__object__storage_key"
        )
    )
    missing, short = keys[digest_of(b"child")], keys[digest_of(b"trash")]
    busy.driver.delete([missing, short])
    busy.driver.put(short, b"tr")
    assert sorted(fsck.check_bytes(busy.driver), key=lambda damage: damage.size) == [
        fsck.Damage(digest_of(b"child"), missing, 5, None),
        fsck.Damage(digest_of(b"trash"), short, 5, 2),
    ]
    assert str(fsck.Damage("sha256:d", "key", 5, None)) == "sha256:d at key: 5 bytes expected, missing"
    assert StorageObject.objects.filter(storage_key=missing, state="live").exists()
