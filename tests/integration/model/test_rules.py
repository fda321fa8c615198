"""What the model promises, rule by rule."""

import uuid
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.utils import timezone

from haven_core.errors import Conflict, ProjectUnknown, QuotaExceeded
from haven_core.models import OutboxEvent, Project, ProjectQuota
from haven_gc import collect, sweep
from haven_gc.uploads import reap_uploads
from haven_registry import selectors
from haven_registry.errors import (
    BlobReferenced,
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestReferenced,
    ManifestUnknown,
    PreconditionFailed,
    RepositoryUnknown,
    TagUnknown,
    UploadConflict,
    UploadUnknown,
)
from haven_registry.models import (
    Blob,
    Manifest,
    PullDaily,
    Repository,
    RepositoryBlob,
    StorageObject,
    Tag,
    TagHistory,
    Upload,
)
from haven_registry.services import blobs, repositories, tags, uploads
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pulls import PullCount, apply_pull_batch
from haven_registry.services.restore import restore_manifest
from tests.integration.model.conftest import Clock
from tests.support.documents import digest_of, image, index
from tests.support.site import OWNER, Site

Windows = Callable[..., None]


def delete(site: Site, digest: str) -> None:
    delete_manifest(repository_id=site.repository, digest=digest)


def restore(site: Site, digest: str) -> None:
    restore_manifest(repository_id=site.repository, digest=digest)


# ---------------------------------------------------------------- leases


def test_a_blob_answers_404_in_the_last_part_of_its_lease_but_a_manifest_may_still_name_it(site: Site, clock: Clock):
    blob = site.upload(b"a")
    assert site.shows(blob)
    clock.advance(hours=22.5)
    assert not site.shows(blob)
    site.collect()
    site.put(image(blob))
    assert site.shows(blob)


def test_an_expired_lease_is_collected_with_bytes_and_charge(site: Site, clock: Clock):
    site.upload(b"abc")
    assert site.used() == 3
    clock.advance(hours=25)
    site.collect()
    assert site.stored_keys() != []  # a download may be under way
    clock.advance(hours=2)
    site.collect()
    assert (site.used(), StorageObject.objects.count(), site.stored_keys()) == (0, 0, [])


def test_a_blob_of_a_live_manifest_is_kept_for_ever(site: Site, clock: Clock):
    digest = site.push(b"a", "t")
    clock.advance(days=400)
    site.collect()
    assert (site.tag("t"), site.shows(digest_of(b"a"))) == (digest, True)
    assert RepositoryBlob.objects.get().review_at is None


def test_uploading_again_renews_the_lease_and_keeps_one_copy(site: Site, clock: Clock):
    site.upload(b"a")
    clock.advance(hours=20)
    site.upload(b"a")
    clock.advance(hours=20)
    site.collect()
    assert site.shows(digest_of(b"a"))
    assert (Blob.objects.count(), site.used(), len(site.stored_keys())) == (1, 1, 1)


# ---------------------------------------------------------------- trash


def test_trash_answers_404_at_once_counts_and_comes_back_with_its_tag(site: Site):
    payload = image(site.upload(b"a"), site.upload(b"b"))
    digest = site.put(payload, "t").digest
    used = site.used()
    delete(site, digest)
    assert (site.shows(digest_of(b"a")), site.tag("t"), site.is_live(digest)) == (False, None, False)
    site.collect()
    assert site.used() == used
    restore(site, digest)
    assert (site.shows(digest_of(b"a")), site.tag("t"), site.is_live(digest)) == (True, digest, True)
    assert selectors.load_payload(Manifest.objects.get().id) == payload


def test_trash_goes_for_good_after_the_restore_window(site: Site, clock: Clock):
    digest = site.push(b"a", "t")
    delete(site, digest)
    clock.advance(hours=169)
    site.collect()
    with pytest.raises(ManifestUnknown):
        restore(site, digest)
    assert (site.used(), Manifest.objects.count(), Blob.objects.count()) == (0, 0, 0)
    assert TagHistory.objects.get().manifest_id is None


def test_restore_leaves_a_name_that_was_taken(site: Site):
    old = site.push(b"old", "t", "u")
    delete(site, old)
    new = site.push(b"new", "t")
    restore(site, old)
    assert (site.tag("t"), site.tag("u"), site.is_live(old)) == (new, old, True)


def test_a_manifest_pushed_again_leaves_the_trash(site: Site):
    digest = site.push(b"a", "t")
    delete(site, digest)
    result = site.put(image(digest_of(b"a"), nonce=b"a".hex()))
    assert (result.digest, result.created, site.is_live(digest), site.tag("t")) == (digest, False, True, None)


def test_a_blob_of_another_live_manifest_stays_visible(site: Site):
    blob = site.upload(b"a")
    one, _ = site.put(image(blob, nonce=1)), site.put(image(blob, nonce=2))
    delete(site, one.digest)
    assert site.shows(blob)


def test_within_the_grace_a_manifest_may_name_a_hidden_blob(site: Site, clock: Clock):
    digest = site.push(b"a")
    clock.advance(hours=25)
    delete(site, digest)
    site.collect()
    assert not site.shows(digest_of(b"a"))
    site.put(image(digest_of(b"a"), nonce="again"))
    assert site.shows(digest_of(b"a"))


def test_after_the_grace_a_manifest_may_not_name_a_hidden_blob(site: Site, clock: Clock):
    digest = site.push(b"a")
    clock.advance(hours=25)
    delete(site, digest)
    clock.advance(hours=25)
    before = (site.used(), Manifest.objects.count())
    with pytest.raises(ManifestBlobUnknown) as refused:
        site.put(image(digest_of(b"a"), nonce="again"))
    assert refused.value.digests == [digest_of(b"a")]
    assert (site.used(), Manifest.objects.count()) == before
    site.upload(b"a")
    site.put(image(digest_of(b"a"), nonce="again"))


# ---------------------------------------------------------------- indexes


def test_an_index_pins_its_children_and_a_deep_delete_leaves_what_others_use(site: Site):
    one, two = site.push(b"1"), site.push(b"2")
    cache = site.upload(b"cache")
    tags.move_tag(repository_id=site.repository, name="keep", digest=two)
    top = site.put(index(one, two, blobs=[cache]), "i").digest
    with pytest.raises(ManifestReferenced):
        delete(site, one)
    delete(site, top)
    assert (site.is_live(one), site.is_live(two), site.shows(cache)) == (False, True, False)
    restore(site, top)
    assert (site.is_live(one), site.tag("i"), site.shows(cache)) == (True, top, True)


def test_nested_indexes_go_and_come_back_together(site: Site, clock: Clock):
    leaf = site.push(b"leaf")
    inner = site.put(index(leaf, nonce="inner")).digest
    outer_payload = index(nonce="outer", manifests=[
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": inner, "size": 1},
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": leaf, "size": 1},
    ])  # fmt: skip
    outer = site.put(outer_payload, "o").digest
    clock.advance(days=3)
    site.collect(delete_untagged=True)
    assert site.is_live(leaf)
    delete(site, outer)
    assert not any(map(site.is_live, (leaf, inner, outer)))
    restore(site, outer)
    assert all(map(site.is_live, (leaf, inner, outer)))


def test_every_missing_blob_and_child_of_a_manifest_is_named(site: Site):
    there = site.push(b"there")
    missing = sorted(digest_of(data) for data in (b"x", b"y"))
    with pytest.raises(ManifestBlobUnknown) as refused:
        site.put(index(there, missing[0], blobs=[missing[1]]))
    assert refused.value.digests == missing
    assert Manifest.objects.count() == 1


def test_a_child_trashed_within_the_grace_comes_back_with_the_index_that_names_it(site: Site, clock: Clock):
    child = site.push(b"a")
    delete(site, child)
    site.put(index(child))
    assert site.is_live(child)
    other = site.push(b"b")
    delete(site, other)
    clock.advance(hours=25)
    with pytest.raises(ManifestBlobUnknown):
        site.put(index(other))
    assert not site.is_live(other)


def test_a_blob_may_stand_at_several_positions(site: Site):
    blob = site.upload(b"empty")
    digest = site.put(image(blob, blob, blob), "t").digest
    delete(site, digest)
    restore(site, digest)
    assert site.tag("t") == digest


# ---------------------------------------------------------------- quota


def test_quota_charges_payloads_and_each_blob_once_per_project(site: Site):
    site.push(b"a" * 100, "t")
    other = site.new_repository(site.first, "other")
    site.push(b"a" * 100, "t", repository=other)
    payloads = sum(Manifest.objects.values_list("payload_size", flat=True))
    assert site.used() == 100 + payloads


def test_a_push_evicts_only_as_much_of_the_oldest_trash_as_it_needs(site: Site, clock: Clock, windows: Windows):
    first, second = site.push(b"1" * 1000, "t1"), site.push(b"2" * 1000, "t2")
    site.limit(site.used() + 10)
    with pytest.raises(QuotaExceeded) as refused:
        site.upload(b"z" * 900)
    assert (refused.value.requested, refused.value.limit) == (900, site.used() + 10)
    assert Upload.objects.filter(state=Upload.CANCELLED).count() == 1
    delete(site, first)
    clock.advance(minutes=1)
    delete(site, second)
    site.upload(b"z" * 900)  # the blobs' leases, a day each, don't stand in the way of a delete that a person asked for
    with pytest.raises(ManifestUnknown):
        restore(site, first)
    restore(site, second)


def test_trash_is_left_alone_when_even_all_of_it_would_not_do(site: Site):
    digest = site.push(b"a" * 1000)
    site.limit(site.used())
    delete(site, digest)
    with pytest.raises(QuotaExceeded):
        site.upload(b"z" * 5000)
    restore(site, digest)


def test_a_refused_push_leaves_nothing_behind_but_a_cancelled_session(site: Site):
    site.limit(10)
    with pytest.raises(QuotaExceeded):
        site.upload(b"z" * 11)
    assert (site.used(), Blob.objects.count(), RepositoryBlob.objects.count()) == (0, 0, 0)
    site.collect()
    assert (site.stored_keys(), Upload.objects.count(), StorageObject.objects.count()) == ([], 0, 0)


def test_a_manifest_that_does_not_fit_is_refused_and_its_tag_stays(site: Site):
    old = site.push(b"a", "t")
    blob = site.upload(b"b")
    site.limit(site.used() + 10)
    with pytest.raises(QuotaExceeded):
        site.put(image(blob), "t")
    assert (site.tag("t"), Manifest.objects.count()) == (old, 1)


# ---------------------------------------------------------------- untagged


def test_untagged_manifests_go_only_when_asked_and_never_a_child_or_a_referrer(site: Site, clock: Clock):
    child, loose = site.push(b"child"), site.push(b"loose")
    top = site.put(index(child), "i").digest
    referrer = site.push(b"r", subject={"mediaType": "x/y", "digest": top, "size": 1}, artifactType="x/sbom")
    clock.advance(days=30)
    site.collect()
    assert Manifest.objects.filter(deleted_at=None).count() == 4
    site.collect(delete_untagged=True)
    assert set(Manifest.objects.filter(deleted_at=None).values_list("digest", flat=True)) == {child, top, referrer}
    assert not site.is_live(loose)


def test_untagged_manifests_that_are_young_or_lost_their_tag_lately_stay(site: Site, clock: Clock):
    moved = site.push(b"old", "t")
    clock.advance(days=2)
    site.push(b"new", "t")
    young = site.push(b"young")
    assert collect.trash_untagged(site.first) == 0
    assert site.is_live(moved)
    clock.advance(days=8)
    assert collect.trash_untagged(site.first) == 2
    assert not site.is_live(young)


# ---------------------------------------------------------------- tags


def test_a_push_moves_all_its_tags_at_once_and_says_what_they_named(site: Site):
    old = site.push(b"old", "a", "b")
    blob = site.upload(b"new")
    result = site.put(image(blob), "a", "c")
    assert (result.created, dict(result.moved)) == (True, {"a": old})
    assert selectors.list_tags(site.repository) == ["a", "b", "c"]
    assert site.tag("c") == result.digest
    assert list(TagHistory.objects.values_list("name", "digest", "reason")) == [("a", old, TagHistory.MOVED)]


def test_deleting_a_tag_keeps_the_manifest(site: Site):
    digest = site.push(b"a", "a", "b")
    assert tags.delete_tag(repository_id=site.repository, name="a") == digest
    assert (site.tag("a"), site.tag("b"), site.is_live(digest)) == (None, digest, True)
    with pytest.raises(TagUnknown):
        tags.delete_tag(repository_id=site.repository, name="a")


def test_a_tag_can_only_be_moved_to_a_live_manifest(site: Site):
    one, two = site.push(b"1", "t"), site.push(b"2")
    assert tags.move_tag(repository_id=site.repository, name="t", digest=two) == one
    assert tags.move_tag(repository_id=site.repository, name="new", digest=two) is None
    delete(site, one)
    with pytest.raises(ManifestUnknown):
        tags.move_tag(repository_id=site.repository, name="t", digest=one)
    assert site.tag("t") == two


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"if_none_match": "*"}, False),
        ({"if_none_match": '"sha256:' + "0" * 64 + '"'}, True),
        ({"if_match": "*"}, True),
        ({"if_match": '"sha256:' + "0" * 64 + '"'}, False),
        ({"if_match": "CURRENT"}, True),
        ({"if_none_match": "CURRENT"}, False),
    ],
)
def test_a_conditional_push_happens_whole_or_not_at_all(site: Site, headers: dict[str, str], accepted: bool):
    old = site.push(b"old", "t")
    headers = {name: value.replace("CURRENT", f'W/"{old}", "x"') for name, value in headers.items()}
    payload = image(site.upload(b"new"))
    if accepted:
        assert site.put(payload, "t", **headers).moved == {"t": old}
        return
    before = (site.used(), OutboxEvent.objects.count())
    with pytest.raises(PreconditionFailed):
        site.put(payload, "t", **headers)
    assert (site.tag("t"), site.is_live(digest_of(payload))) == (old, False)
    assert (site.used(), OutboxEvent.objects.count()) == before


def test_a_conditional_push_of_a_new_tag(site: Site):
    with pytest.raises(PreconditionFailed):
        site.put(image(site.upload(b"a")), "t", if_match="*")
    assert site.tag("t") is None
    assert site.put(image(site.upload(b"a")), "t", if_none_match="*").created


# ---------------------------------------------------------------- uploads


def test_an_upload_belongs_to_its_owner_and_repository(site: Site):
    upload = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    other = site.new_repository(site.first, "other")
    assert uploads.find_upload(upload_id=upload.id, repository_id=site.repository, owner=OWNER) == upload
    for repository_id, owner in ((other, OWNER), (site.repository, "user:2")):
        with pytest.raises(UploadUnknown):
            uploads.find_upload(upload_id=upload.id, repository_id=repository_id, owner=owner)
    with pytest.raises(UploadUnknown):
        uploads.find_upload(upload_id=uuid.uuid4(), repository_id=site.repository, owner=OWNER)
    uploads.cancel_upload(upload.id)
    with pytest.raises(UploadUnknown):
        uploads.find_upload(upload_id=upload.id, repository_id=site.repository, owner=OWNER)


def test_of_two_writers_to_one_session_one_is_told(site: Site):
    seen = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    won = uploads.record_progress(seen, received_bytes=5, prefix_digest=digest_of(b"hello"), staging={"bytes": 5})
    with pytest.raises(UploadConflict):
        uploads.record_progress(seen, received_bytes=7, prefix_digest=None, staging={"bytes": 7})
    with pytest.raises(UploadConflict):
        uploads.commit_upload(upload=seen, project_id=site.first, digest=digest_of(b"goodbye"), size=7)
    assert uploads.find_upload(upload_id=seen.id, repository_id=site.repository, owner=OWNER) == won
    assert (won.received_bytes, won.staging, won.prefix_digest) == (5, {"bytes": 5}, digest_of(b"hello"))
    uploads.cancel_upload(seen.id)
    with pytest.raises(UploadUnknown):
        uploads.record_progress(won, received_bytes=9, prefix_digest=None, staging={"bytes": 9})


def test_a_repeated_put_of_a_committed_upload_is_answered_again(site: Site):
    upload = site.start_upload(b"q")
    for _ in range(2):
        site.commit(upload, b"q")
    tombstone = uploads.find_upload(upload_id=upload.id, repository_id=site.repository, owner=OWNER)
    assert (tombstone.is_committed, tombstone.digest) == (True, digest_of(b"q"))
    with pytest.raises(UploadUnknown):
        site.commit(upload, b"other")
    assert Blob.objects.count() == 1


def test_nobody_uploads_to_a_deleted_repository(site: Site):
    upload = site.start_upload(b"a")
    repositories.delete_repository(site.repository)
    with pytest.raises(RepositoryUnknown):
        site.commit(upload, b"a")
    with pytest.raises(RepositoryUnknown):
        uploads.start_upload(repository_id=site.repository, owner=OWNER)
    assert Blob.objects.count() == 0


def test_an_abandoned_upload_is_reaped_with_what_it_staged(site: Site, clock: Clock):
    upload = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    writer = site.driver.append(upload.key, None, 0)
    writer.write(b"half")
    upload = uploads.record_progress(upload, received_bytes=4, prefix_digest=None, staging=writer.close())
    clock.advance(hours=23)
    assert reap_uploads() == 0
    clock.advance(hours=2)
    assert reap_uploads() == 1
    assert (sweep.sweep(site.driver), site.stored_keys()) == (sweep.Swept(1, 0), [])
    assert (Upload.objects.count(), StorageObject.objects.count()) == (0, 0)


def test_tombstones_are_forgotten_and_their_blobs_stay(site: Site, clock: Clock):
    digest = site.push(b"a", "t")
    clock.advance(hours=25)
    assert reap_uploads() == 1
    site.collect()
    assert (Upload.objects.count(), site.tag("t"), site.shows(digest_of(b"a"))) == (0, digest, True)


def test_a_push_repairs_a_blob_whose_bytes_are_damaged_and_the_damaged_ones_go(site: Site):
    site.push(b"a", "t")
    [damaged] = site.stored_keys()
    site.driver.delete([damaged])
    uploads_of_the_same = [site.start_upload(b"a") for _ in range(2)]
    for upload in uploads_of_the_same:
        site.commit(upload, b"a", damaged_key=damaged)
    found = selectors.find_blob("first", "app", digest_of(b"a"))
    assert found is not None
    assert found.storage_key == uploads_of_the_same[0].key  # the second found nothing to repair any more
    site.collect()
    assert site.stored_keys() == [found.storage_key]
    assert Blob.objects.count() == 1


# ---------------------------------------------------------------- blobs


def test_a_mount_moves_no_bytes_and_charges_the_other_project(site: Site):
    blob = site.upload(b"a" * 100)
    other = site.new_repository(site.second, "app")
    blobs.mount_blob(source_repository_id=site.repository, repository_id=other, project_id=site.second, digest=blob)
    assert (site.shows(blob, other), site.used(site.second), len(site.stored_keys())) == (True, 100, 1)


def test_what_the_source_does_not_show_can_not_be_mounted(site: Site):
    digest = site.push(b"a")
    delete(site, digest)
    other = site.new_repository(site.second, "app")
    for blob in (digest_of(b"a"), digest_of(b"never")):
        with pytest.raises(BlobUnknown):
            blobs.mount_blob(
                source_repository_id=site.repository, repository_id=other, project_id=site.second, digest=blob
            )
    assert (site.used(site.second), selectors.find_mountable_repository(site.first, digest_of(b"a"))) == (0, None)


def test_a_deleted_blob_answers_404_at_once_and_one_in_use_can_not_be_deleted(site: Site, clock: Clock):
    loose = site.upload(b"loose")
    blobs.delete_blob(repository_id=site.repository, digest=loose)
    assert not site.shows(loose)
    with pytest.raises(BlobUnknown):
        blobs.delete_blob(repository_id=site.repository, digest=loose)
    site.push(b"used", "t")
    with pytest.raises(BlobReferenced):
        blobs.delete_blob(repository_id=site.repository, digest=digest_of(b"used"))
    assert site.shows(digest_of(b"used"))
    clock.advance(hours=25)
    site.collect()
    assert Blob.objects.get().digest == digest_of(b"used")


def test_a_copy_moves_no_bytes_and_charges_the_other_project(site: Site):
    child = site.put(image(site.upload(b"a" * 100), site.upload(b"b" * 100))).digest
    top = site.put(index(child)).digest
    other = site.new_repository(site.second, "copy")
    for _ in range(2):
        copy_artifact(
            source_repository_id=site.repository, digest=top, repository_id=other, project_id=site.second, tags=["t"]
        )
    assert (site.used(site.second), Blob.objects.count()) == (site.used(), 2)
    assert site.shows(digest_of(b"b" * 100), other)
    found = selectors.find_manifest("second", "copy", tag="t")
    assert found is not None
    assert found.digest == top
    delete_manifest(repository_id=other, digest=top)
    assert site.is_live(child)


# ---------------------------------------------------------------- repositories


def test_a_repository_is_made_once_and_not_in_a_deleted_project(site: Site):
    assert site.new_repository(site.first, "app") == site.repository
    assert selectors.find_repository("first", "app") == selectors.FoundRepository(site.repository, site.first)
    Project.objects.filter(id=site.second).update(deleted_at=timezone.now())
    with pytest.raises(ProjectUnknown):
        repositories.get_or_create_repository(site.second, "new")
    assert Repository.objects.count() == 1


def test_a_deleted_repository_comes_back_with_all_it_had(site: Site):
    digest = site.push(b"a", "t")
    repositories.delete_repository(site.repository)
    assert (site.tag("t"), site.is_live(digest), site.shows(digest_of(b"a"))) == (None, False, False)
    assert selectors.find_blob("first", "app", digest_of(b"a")) is None
    repositories.restore_repository(site.repository)
    assert (site.tag("t"), site.shows(digest_of(b"a"))) == (digest, True)


def test_a_restore_does_not_take_a_name_that_is_in_use(site: Site):
    repositories.delete_repository(site.repository)
    assert site.new_repository(site.first, "app") != site.repository
    with pytest.raises(Conflict):
        repositories.restore_repository(site.repository)
    assert Repository.objects.filter(deleted_at=None).count() == 1


def test_a_purged_repository_leaves_nothing(site: Site, clock: Clock):
    digest = site.push(b"a", "t")
    site.push(b"b", "t")
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    now = timezone.now()
    apply_pull_batch(uuid.uuid4(), [PullCount(site.repository, digest, "t", now.date(), 3, now)])
    repositories.delete_repository(site.repository)
    clock.advance(hours=169)
    site.collect()
    with pytest.raises(RepositoryUnknown):
        repositories.restore_repository(site.repository)
    clock.advance(hours=2)
    site.collect()
    tables = (Repository, Manifest, Tag, TagHistory, RepositoryBlob, Blob, StorageObject, Upload, PullDaily)
    assert [table.objects.count() for table in tables] == [0] * len(tables)
    assert (site.used(), site.stored_keys()) == (0, [])


def test_collecting_finds_the_projects_in_which_something_is_due(site: Site, clock: Clock):
    delete(site, site.push(b"a"))
    assert collect.find_due_projects(timezone.now()) == []
    clock.advance(hours=169)
    assert collect.find_due_projects(timezone.now()) == [site.first]
    site.collect()
    assert collect.find_due_projects(timezone.now()) == []


# ---------------------------------------------------------------- lists


def test_repositories_are_listed_in_byte_order_of_their_full_names(site: Site):
    names = ["a/b", "a-b/c", "a/a", "a.b/z", "ab/x", "a/b/c", "a/b-c", "first/app"]
    ids = {"first": site.first}
    for full_name in names:
        project, _, name = full_name.partition("/")
        if project not in ids:
            ids[project] = Project.objects.create(name=project).id
            ProjectQuota.objects.create(project_id=ids[project])
        site.push(full_name.encode(), repository=site.new_repository(ids[project], name))
    site.new_repository(ids["a"], "empty")
    expected = sorted(names, key=str.encode)
    assert selectors.list_repositories() == expected
    assert selectors.list_repositories([ids["a"], ids["ab"]]) == [n for n in expected if n[:2] in ("a/", "ab")]
    assert selectors.list_repositories([]) == []
    paged: list[str] = []
    while page := selectors.list_repositories(after=paged[-1] if paged else None, limit=3):
        paged += page
    assert paged == expected


def test_tags_are_listed_in_byte_order_page_by_page(site: Site):
    names = ["a", "B", "_x", "1.0", "1.0-rc", "Z", "z", "10"]
    site.push(b"a", *names)
    expected = sorted(names, key=str.encode)
    paged: list[str] = []
    while page := selectors.list_tags(site.repository, paged[-1] if paged else None, 3):
        paged += page
    assert paged == expected


def test_referrers_are_listed_by_subject_tagged_or_not_also_before_it_exists(site: Site):
    subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest_of(b"later"), "size": 5}
    sbom = site.push(b"sbom", subject=subject, artifactType="x/sbom", annotations={"k": "v"})
    signature = site.push(b"sig", "tagged", subject=subject, artifactType="x/signature")
    listed = selectors.find_referrers(site.repository, digest_of(b"later"))
    assert [(row.digest, row.artifact_type) for row in listed] == [(sbom, "x/sbom"), (signature, "x/signature")]
    assert (listed[0].annotations, listed[0].size) == ({"k": "v"}, Manifest.objects.get(digest=sbom).payload_size)
    only = selectors.find_referrers(site.repository, digest_of(b"later"), ["x/signature", "x/other"])
    assert [row.digest for row in only] == [signature]
    assert selectors.find_referrers(site.repository, digest_of(b"later"), after=listed[0].id, limit=1) == [listed[1]]
    delete(site, sbom)
    assert [row.digest for row in selectors.find_referrers(site.repository, digest_of(b"later"))] == [signature]


def test_children_of_a_fallback_index_are_listed_by_their_own_subject(site: Site):
    subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": site.push(b"image"), "size": 5}
    signature = site.push(b"sig", subject=subject, artifactType="x/signature")
    site.put(index(signature), subject["digest"].replace(":", "-"))
    assert [row.digest for row in selectors.find_referrers(site.repository, subject["digest"])] == [signature]


# ---------------------------------------------------------------- pulls


def test_pulls_are_counted_exactly_once(site: Site):
    now, batch = timezone.now(), uuid.uuid4()
    digest = site.push(b"a", "t")
    counts = [
        PullCount(site.repository, digest, "t", date(2026, 1, 1), 2, now),
        PullCount(site.repository, digest, "t", date(2026, 1, 1), 3, now - timedelta(minutes=1)),
        PullCount(site.repository, digest, "", date(2026, 1, 1), 1, now),
        PullCount(site.repository + 1000, digest, "", date(2026, 1, 1), 9, now),
    ]
    assert apply_pull_batch(batch, counts)
    assert not apply_pull_batch(batch, counts)
    assert apply_pull_batch(uuid.uuid4(), counts[:1])
    rows = PullDaily.objects.order_by("tag_name").values_list("tag_name", "pulls", "last_pulled_at")
    assert list(rows) == [("", 1, now), ("t", 7, now)]


# ---------------------------------------------------------------- events


def test_every_change_leaves_its_event(site: Site):
    digest = site.push(b"a", "t")
    delete(site, digest)
    restore(site, digest)
    topics = list(OutboxEvent.objects.order_by("id").values_list("topic", flat=True))
    assert topics == ["repository.created", "manifest.pushed", "manifest.deleted", "manifest.restored"]
    pushed = OutboxEvent.objects.get(topic="manifest.pushed").payload
    assert pushed == {"repository": site.repository, "digest": digest, "tags": ["t"], "by": "somebody"}
