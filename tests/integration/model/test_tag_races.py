"""A tag that moves while its artifact goes, returns, or is purged. Each race is forced: one stops inside its transaction
until the other waits for it. On PostgreSQL only (conftest)."""

from collections.abc import Callable
from typing import Any

import pytest

from haven_core.domain.selectors import Selector
from haven_core.errors import TagImmutable
from haven_core.policies import immutability
from haven_registry.errors import InTrash, ManifestUnknown, RepositoryUnknown, TagsTaken
from haven_registry.models import Manifest, TagHistory
from haven_registry.services import (
    copying,
    delete,
    manifests,
    purge,
    repositories,
    restore,
    rollback,
    room,
    tags,
    trash,
)
from haven_registry.services.artifacts import delete_artifact
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import Taken, restore_manifest, restore_tag
from haven_registry.services.rollback import roll_back_tag
from haven_registry.services.tags import delete_tag, move_tag
from haven_registry.services.trash import purge_artifact
from tests.support.documents import digest_of, image
from tests.support.races import overlap
from tests.support.site import Site

Race = Callable[[tuple[Any, str], Callable[[], object], Callable[[], object]], tuple[object, object]]


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> Race:
    return lambda pause, first, second: overlap(monkeypatch, pause, first, second)


def move(site: Site, name: str, digest: str) -> Callable[[], object]:
    return lambda: move_tag(repository_id=site.repository, name=name, digest=digest)


def remove(site: Site, digest: str) -> Callable[[], object]:
    return lambda: delete_manifest(repository_id=site.repository, digest=digest)


def bring_back(site: Site, digest: str, taken: Taken = Taken.REFUSE) -> Callable[[], object]:
    return lambda: restore_manifest(repository_id=site.repository, digest=digest, taken=taken)


def back(site: Site, name: str, digest: str) -> Callable[[], object]:
    return lambda: roll_back_tag(repository_id=site.repository, name=name, digest=digest)


def reasons(name: str) -> list[str]:
    return list(TagHistory.objects.filter(name=name).order_by("id").values_list("reason", flat=True))


def protect(site: Site) -> None:
    everywhere = Selector("doublestar", "repoMatches", "**")
    immutability.create_rule(project_id=site.first, repository=everywhere, tag=Selector("doublestar", "matches", "v*"))


# ---------------------------------------------------------------- delete


def test_a_tag_moved_first_goes_with_the_artifact(site: Site, race: Race):
    old, new = site.push(b"old", "t"), site.push(b"new")
    assert race((tags, "set_tags"), move(site, "t", new), remove(site, new)) == (old, None)
    assert (site.tag("t"), site.is_live(new)) == (None, False)
    assert reasons("t") == ["pushed", "moved", "manifest"]


def test_a_tag_is_not_moved_to_an_artifact_that_is_being_deleted(site: Site, race: Race):
    old, new = site.push(b"old", "t"), site.push(b"new")
    _, refused = race((delete, "hide_blobs"), remove(site, new), move(site, "t", new))
    assert isinstance(refused, ManifestUnknown)
    assert (site.tag("t"), reasons("t")) == (old, ["pushed"])


def test_a_rollback_before_the_delete_goes_with_it(site: Site, race: Race):
    old, new = site.push(b"old", "t"), site.push(b"new", "t")
    assert race((rollback, "set_tags"), back(site, "t", old), remove(site, old)) == (new, None)
    assert (site.tag("t"), site.is_live(old)) == (None, False)
    assert reasons("t") == ["pushed", "pushed", "rollback", "manifest"]


def test_a_rollback_behind_the_delete_finds_the_trash(site: Site, race: Race):
    old, new = site.push(b"old", "t"), site.push(b"new", "t")
    _, refused = race((delete, "hide_blobs"), remove(site, old), back(site, "t", old))
    assert isinstance(refused, InTrash)
    assert (site.tag("t"), reasons("t")) == (new, ["pushed", "pushed"])


def test_a_delete_of_the_tag_and_one_of_its_artifact(site: Site, race: Race):
    digest = site.push(b"a", "t", "u")
    drop = lambda: delete_tag(repository_id=site.repository, name="t")  # noqa: E731
    assert race((tags, "before_delete"), drop, remove(site, digest)) == (digest, None)
    assert (reasons("t"), reasons("u")) == (["pushed", "deleted"], ["pushed", "manifest"])
    assert restore_manifest(repository_id=site.repository, digest=digest) == ["u"]


def test_a_copy_and_a_delete_of_what_it_copies(site: Site, race: Race):
    """The source is read without locks: the copy is whole, whichever was first."""
    digest = site.push(b"a", "t")
    target = site.new_repository(site.second, "copy")
    copy = lambda: copy_artifact(  # noqa: E731
        source_repository_id=site.repository, digest=digest, repository_id=target, project_id=site.second,
        with_accessories=True,
    )  # fmt: skip
    gone = lambda: delete_artifact(repository_id=site.repository, digest=digest)  # noqa: E731
    assert race((copying, "set_tags"), copy, gone) == (None, None)
    assert Manifest.objects.get(repository_id=target).digest == digest
    assert not site.is_live(digest)


# ---------------------------------------------------------------- restore


def test_a_push_behind_a_restore_moves_the_restored_tag(site: Site, race: Race):
    old = site.push(b"old", "t")
    delete_manifest(repository_id=site.repository, digest=old)
    payload = image(site.upload(b"new"))
    restored, _ = race((restore, "remember"), bring_back(site, old), lambda: site.put(payload, "t"))
    assert (restored, site.tag("t"), site.is_live(old)) == (["t"], digest_of(payload), True)
    assert reasons("t") == ["pushed", "manifest", "restored", "pushed"]


def test_a_restore_behind_a_push_of_its_name_is_refused(site: Site, race: Race):
    old = site.push(b"old", "t", "u")
    delete_manifest(repository_id=site.repository, digest=old)
    payload = image(site.upload(b"new"))
    _, refused = race((manifests, "publish_about"), lambda: site.put(payload, "t"), bring_back(site, old))
    assert isinstance(refused, TagsTaken)
    assert (site.tag("t"), site.tag("u"), site.is_live(old)) == (digest_of(payload), None, False)


def test_a_tag_is_restored_once(site: Site, race: Race):
    digest = site.push(b"a", "t")
    delete_tag(repository_id=site.repository, name="t")
    row = TagHistory.objects.latest("id").pk
    again = lambda: restore_tag(repository_id=site.repository, history_id=row)  # noqa: E731
    first, second = race((restore, "publish_about"), again, again)
    assert (first, isinstance(second, Exception), site.tag("t")) == ("t", True, digest)
    assert reasons("t") == ["pushed", "deleted", "restored"]


def test_a_restore_behind_a_purge_finds_nothing(site: Site, race: Race):
    digest = site.push(b"a", "t")
    delete_manifest(repository_id=site.repository, digest=digest)
    row = Manifest.objects.get().pk
    purged = lambda: purge_artifact(project_id=site.first, repository_id=site.repository, manifest_id=row)  # noqa: E731
    _, refused = race((trash, "_end_windows"), purged, bring_back(site, digest))
    # the pause is before the locks: whoever takes them first wins, and the other is told
    assert isinstance(refused, ManifestUnknown) is not site.is_live(digest)


def test_a_purge_behind_a_restore_is_told(site: Site, race: Race):
    digest = site.push(b"a", "t")
    delete_manifest(repository_id=site.repository, digest=digest)
    row = Manifest.objects.get().pk
    restored, refused = race(
        (restore, "remember"), bring_back(site, digest),
        lambda: purge_artifact(project_id=site.first, repository_id=site.repository, manifest_id=row),
    )  # fmt: skip
    assert (restored, isinstance(refused, ManifestUnknown)) == (["t"], True)
    assert site.tag("t") == digest


def test_garbage_collection_passes_by_what_is_being_restored(site: Site, race: Race):
    digest = site.push(b"a", "t")
    delete_manifest(repository_id=site.repository, digest=digest)
    evict = lambda: purge.purge_manifests(site.first, evict=True).removed  # noqa: E731
    assert race((restore, "remember"), bring_back(site, digest), evict) == (["t"], 0)
    assert site.tag("t") == digest


def test_an_eviction_passes_by_a_repository_that_is_being_restored(site: Site, race: Race):
    site.push(b"a" * 1000, "t")
    repositories.delete_repository(site.repository)
    come_back = lambda: repositories.restore_repository(site.repository)  # noqa: E731
    evict = lambda: room._evict(site.first, 1)  # noqa: E731
    assert race((repositories, "publish_about"), come_back, evict) == (None, False)
    assert site.tag("t") is not None


def test_a_repository_that_is_being_evicted_does_not_come_back(site: Site, race: Race):
    site.push(b"a" * 1000, "t")
    repositories.delete_repository(site.repository)
    come_back = lambda: repositories.restore_repository(site.repository)  # noqa: E731
    evicted, refused = race((purge, "_empty"), lambda: room._evict(site.first, 1), come_back)
    assert (evicted, isinstance(refused, RepositoryUnknown)) == (True, True)
    site.collect()
    assert site.used() == 0


# ---------------------------------------------------------------- immutability


def test_a_restored_immutable_tag_is_not_pushed_over(site: Site, race: Race):
    old = site.push(b"old", "v1")
    delete_manifest(repository_id=site.repository, digest=old)
    protect(site)
    payload = image(site.upload(b"new"))
    _, refused = race((restore, "remember"), bring_back(site, old), lambda: site.put(payload, "v1"))
    assert isinstance(refused, TagImmutable)
    assert (site.tag("v1"), site.is_live(digest_of(payload))) == (old, False)


def test_an_overwriting_restore_behind_a_push_of_an_immutable_tag_is_refused(site: Site, race: Race):
    old = site.push(b"old", "v1")
    delete_manifest(repository_id=site.repository, digest=old)
    protect(site)
    payload = image(site.upload(b"new"))
    _, refused = race(
        (manifests, "publish_about"), lambda: site.put(payload, "v1"), bring_back(site, old, Taken.OVERWRITE)
    )
    assert isinstance(refused, TagImmutable)
    assert (site.tag("v1"), site.is_live(old)) == (digest_of(payload), False)


def test_a_rollback_of_an_immutable_tag_is_refused(site: Site):
    old, new = site.push(b"old", "v1"), site.push(b"new", "v1")
    protect(site)
    with pytest.raises(TagImmutable):
        back(site, "v1", old)()
    assert (site.tag("v1"), reasons("v1")) == (new, ["pushed", "pushed"])
