"""What is in the trash, getting things out of it, and emptying it by hand."""

from datetime import timedelta

import pytest

from haven_core.domain.origin import Origin
from haven_core.errors import Conflict, NotFound
from haven_registry import trash
from haven_registry.errors import (
    InTrash,
    ManifestReferenced,
    ManifestUnknown,
    NeverMeant,
    PreconditionFailed,
    RepositoryUnknown,
    TagsTaken,
    TagUnknown,
)
from haven_registry.models import Blob, Manifest, Repository, TagHistory
from haven_registry.services import repositories, tags
from haven_registry.services.artifacts import delete_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import Taken, restore_manifest, restore_tag
from haven_registry.services.rollback import roll_back_tag
from haven_registry.services.trash import purge_artifact, purge_tag, purge_trash, purge_trashed_repository
from haven_registry.trash import Item
from tests.integration.model.conftest import Clock
from tests.support.documents import index
from tests.support.site import Site

ANNE = Origin("anne")


def contents(site: Site) -> list[tuple[str, int]]:
    views, total = trash.list_trash(site.first, offset=0, limit=100)
    assert total == len(views)
    for view in views:
        assert trash.find_trash(site.first, view.item, view.id) == view
    return [(view.item.value, view.id) for view in views]


def id_of(digest: str) -> int:
    return Manifest.objects.get(digest=digest).pk


def last_history() -> int:
    return TagHistory.objects.latest("id").pk


def test_the_trash_says_what_who_when_and_until(site: Site, clock: Clock):
    digest = site.push(b"a", "v1", "v2")
    site.push(b"r", subject={"mediaType": "x/y", "digest": digest, "size": 1})
    kept = site.push(b"b", "keep", "lost")
    other = site.new_repository(site.first, "other")
    site.push(b"c", "t", repository=other)
    delete_artifact(repository_id=site.repository, digest=digest, origin=ANNE)
    clock.advance(minutes=1)
    tags.delete_tag(repository_id=site.repository, name="lost", origin=ANNE)
    clock.advance(minutes=1)
    repositories.delete_repository(other, ANNE)
    views, total = trash.list_trash(site.first, offset=0, limit=10)
    assert total == 3
    assert [(view.item, view.repository, view.digest, view.type, view.tags) for view in views] == [
        (Item.REPOSITORY, "first/other", "", "", ()),
        (Item.TAG, "first/app", kept, "IMAGE", ("lost",)),
        (Item.ARTIFACT, "first/app", digest, "IMAGE", ("v1", "v2")),
    ]
    assert {view.deleted_by for view in views} == {"anne"}
    assert {view.restorable_until - view.deleted_at for view in views} == {timedelta(days=7)}
    together = Manifest.objects.filter(deleted_by="anne").values_list("payload_size", "total_size")
    assert (len(together), views[2].size) == (2, sum(map(sum, together)))
    page, total = trash.list_trash(site.first, offset=1, limit=1)
    assert (page, total) == (views[1:2], 3)
    assert trash.list_trash(site.first, offset=0, limit=9, repository="app") == (views[1:], 2)
    assert trash.list_trash(site.first, offset=0, limit=9, items=[Item.TAG]) == (views[1:2], 1)
    assert trash.list_trash(site.second, offset=0, limit=9) == ([], 0)
    clock.advance(days=8)
    assert contents(site) == []


def test_what_is_restored_is_in_the_trash_no_more(site: Site):
    digest = site.push(b"a", "v1", "v2")
    tags.delete_tag(repository_id=site.repository, name="v2")
    row = last_history()
    assert restore_tag(repository_id=site.repository, history_id=row) == "v2"
    assert (site.tag("v2"), contents(site)) == (digest, [])
    with pytest.raises(TagUnknown):
        restore_tag(repository_id=site.repository, history_id=row)
    delete_manifest(repository_id=site.repository, digest=digest)
    assert contents(site) == [("artifact", id_of(digest))]
    restore_manifest(repository_id=site.repository, digest=digest)
    assert contents(site) == []
    with pytest.raises(ManifestUnknown):
        restore_manifest(repository_id=site.repository, digest=digest)
    with pytest.raises(NotFound):
        trash.find_trash(site.first, Item.ARTIFACT, id_of(digest))


def test_a_tag_brings_its_artifact_out_of_the_trash(site: Site):
    digest = site.push(b"a", "v1")
    tags.delete_tag(repository_id=site.repository, name="v1")
    row = last_history()
    delete_manifest(repository_id=site.repository, digest=digest)
    restore_tag(repository_id=site.repository, history_id=row, name="again")
    assert (site.tag("again"), site.tag("v1"), site.is_live(digest)) == (digest, None, True)


def test_taken_names_are_refused_kept_or_overwritten(site: Site):
    old = site.push(b"old", "t", "u")
    delete_manifest(repository_id=site.repository, digest=old)
    new = site.push(b"new", "t")
    with pytest.raises(TagsTaken) as refused:
        restore_manifest(repository_id=site.repository, digest=old, taken=Taken.REFUSE)
    assert refused.value.names == ["t"]
    assert (site.tag("t"), site.tag("u"), site.is_live(old)) == (new, None, False)
    assert restore_manifest(repository_id=site.repository, digest=old, taken=Taken.OVERWRITE, origin=ANNE) == ["t", "u"]
    assert (site.tag("t"), site.tag("u")) == (old, old)
    row = TagHistory.objects.filter(name="t").latest("id")
    assert (row.digest, row.new_digest, row.reason, row.by) == (new, old, TagHistory.RESTORED, "anne")


def test_a_deleted_tag_whose_name_is_taken(site: Site):
    old = site.push(b"old", "t")
    tags.delete_tag(repository_id=site.repository, name="t")
    row = last_history()
    new = site.push(b"new", "t")
    with pytest.raises(TagsTaken):
        restore_tag(repository_id=site.repository, history_id=row)
    assert (site.tag("t"), contents(site)) == (new, [("tag", row)])
    restore_tag(repository_id=site.repository, history_id=row, taken=Taken.OVERWRITE)
    assert site.tag("t") == old


def test_a_repository_comes_back_under_another_name(site: Site):
    digest = site.push(b"a", "t")
    repositories.delete_repository(site.repository)
    again = repositories.get_or_create_repository(site.first, "app")
    with pytest.raises(Conflict):
        repositories.restore_repository(site.repository)
    repositories.restore_repository(site.repository, name="app-old")
    found = Repository.objects.get(id=site.repository)
    assert (found.full_name, found.deleted_at) == ("first/app-old", None)
    assert Manifest.objects.get(repository_id=site.repository).digest == digest
    assert again != site.repository


# ---------------------------------------------------------------- purge


def test_a_purged_artifact_is_gone_with_what_went_with_it(site: Site, clock: Clock):
    child, alone = site.push(b"child"), site.push(b"alone")
    top = site.put(index(child), "i").digest
    delete_manifest(repository_id=site.repository, digest=top)
    delete_manifest(repository_id=site.repository, digest=alone)
    purge_artifact(project_id=site.first, repository_id=site.repository, manifest_id=id_of(top))
    assert contents(site) == [("artifact", id_of(alone))]
    assert set(Manifest.objects.values_list("digest", flat=True)) == {alone}
    with pytest.raises(ManifestUnknown):
        restore_manifest(repository_id=site.repository, digest=top)
    clock.advance(hours=25)  # the lease after the last reference
    site.collect()
    assert Blob.objects.count() == 1


def test_what_an_index_in_the_trash_needs_is_not_purged_alone(site: Site):
    child = site.push(b"child", "c")
    top = site.put(index(child), "i").digest
    delete_manifest(repository_id=site.repository, digest=top)
    delete_manifest(repository_id=site.repository, digest=child)
    with pytest.raises(ManifestReferenced):
        purge_artifact(project_id=site.first, repository_id=site.repository, manifest_id=id_of(child))
    assert len(contents(site)) == 2
    purge_trash(site.first)
    assert (contents(site), Manifest.objects.count()) == ([], 0)


def test_what_is_live_is_not_purged(site: Site):
    digest = site.push(b"a", "t", "u")
    with pytest.raises(ManifestUnknown):
        purge_artifact(project_id=site.first, repository_id=site.repository, manifest_id=id_of(digest))
    with pytest.raises(RepositoryUnknown):
        purge_trashed_repository(project_id=site.first, repository_id=site.repository)
    with pytest.raises(TagUnknown):
        purge_tag(repository_id=site.repository, history_id=last_history())
    tags.delete_tag(repository_id=site.repository, name="u")
    purge_trash(site.first)
    assert (site.tag("t"), contents(site)) == (digest, [])


def test_a_purged_tag_and_a_purged_repository_can_not_be_restored(site: Site):
    site.push(b"a", "t", "u")
    tags.delete_tag(repository_id=site.repository, name="u")
    row = last_history()
    purge_tag(repository_id=site.repository, history_id=row)
    with pytest.raises(TagUnknown):
        restore_tag(repository_id=site.repository, history_id=row)
    repositories.delete_repository(site.repository)
    purge_trashed_repository(project_id=site.first, repository_id=site.repository)
    with pytest.raises(RepositoryUnknown):
        repositories.restore_repository(site.repository)
    assert contents(site) == []


# ---------------------------------------------------------------- rollback


def test_a_tag_goes_back_to_what_it_meant(site: Site):
    old, new = site.push(b"old", "t"), site.push(b"new", "t")
    used = site.used()
    assert roll_back_tag(repository_id=site.repository, name="t", digest=old, origin=ANNE) == new
    assert (site.tag("t"), site.used()) == (old, used)
    row = TagHistory.objects.latest("id")
    assert (row.digest, row.new_digest, row.reason, row.by) == (new, old, TagHistory.ROLLED_BACK, "anne")
    assert roll_back_tag(repository_id=site.repository, name="t", digest=new) == old


def test_a_rollback_takes_the_artifact_out_of_the_trash_if_it_may(site: Site):
    old, new = site.push(b"old", "t"), site.push(b"new", "t")
    delete_manifest(repository_id=site.repository, digest=old)
    with pytest.raises(InTrash):
        roll_back_tag(repository_id=site.repository, name="t", digest=old)
    assert (site.tag("t"), site.is_live(old)) == (new, False)
    roll_back_tag(repository_id=site.repository, name="t", digest=old, may_revive=True)
    assert (site.tag("t"), site.is_live(old)) == (old, True)


def test_a_rollback_that_does_not_hold_changes_nothing(site: Site, clock: Clock):
    old, new, other = site.push(b"old", "t"), site.push(b"new", "t"), site.push(b"other", "x")
    with pytest.raises(NeverMeant):
        roll_back_tag(repository_id=site.repository, name="t", digest=other)
    with pytest.raises(PreconditionFailed):
        roll_back_tag(repository_id=site.repository, name="t", digest=old, expected=other)
    delete_manifest(repository_id=site.repository, digest=old)
    clock.advance(days=8)
    site.collect()
    with pytest.raises(ManifestUnknown):
        roll_back_tag(repository_id=site.repository, name="t", digest=old, may_revive=True)
    assert site.tag("t") == new
