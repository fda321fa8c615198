"""Tags, uploads, blobs: what clients do."""

import dataclasses
import json
import uuid
from typing import Any

import pytest
from django.utils import timezone

from haven_core.models import OutboxEvent
from haven_gc import repair, sweep
from haven_gc.uploads import reap_uploads
from haven_registry import selectors
from haven_registry.errors import (
    BlobReferenced,
    BlobUnknown,
    ManifestUnknown,
    PreconditionFailed,
    RepositoryUnknown,
    TagUnknown,
    TooManyUploads,
    UploadConflict,
    UploadUnknown,
)
from haven_registry.models import (
    Blob,
    ProjectBlob,
    RepositoryBlob,
    StorageObject,
    TagHistory,
    Upload,
)
from haven_registry.services import blobs, repositories, tags, uploads
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.publishing import commit_upload
from haven_registry.v2.errors import render
from tests.integration.model.conftest import Clock
from tests.support.documents import digest_of, image, index
from tests.support.site import OWNER, Site

APP = "first/app"  # the site's repository


def delete(site: Site, digest: str) -> None:
    delete_manifest(repository_id=site.repository, digest=digest)


# ---------------------------------------------------------------- tags


def test_a_push_moves_all_its_tags_at_once_and_says_what_they_named(site: Site):
    old = site.push(b"old", "a", "b")
    blob = site.upload(b"new")
    result = site.put(image(blob), "a", "c")
    assert (result.created, dict(result.moved)) == (True, {"a": old})
    assert selectors.list_tags(site.repository) == ["a", "b", "c"]
    assert site.tag("c") == result.digest
    before = TagHistory.objects.filter(digest__isnull=False).values_list("name", "digest", "new_digest", "reason", "by")
    assert list(before) == [("a", old, result.digest, TagHistory.PUSHED, "somebody")]


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
    site.new_repository(site.first, "other")
    assert uploads.find_upload(upload_id=upload.id, repository=APP, owner=OWNER) == upload
    for repository, owner in (("first/other", OWNER), (APP, "user:2")):
        with pytest.raises(UploadUnknown):
            uploads.find_upload(upload_id=upload.id, repository=repository, owner=owner)
    with pytest.raises(UploadUnknown):
        uploads.find_upload(upload_id=uuid.uuid4(), repository=APP, owner=OWNER)
    uploads.cancel_upload(upload.id)
    with pytest.raises(UploadUnknown):
        uploads.find_upload(upload_id=upload.id, repository=APP, owner=OWNER)


def test_open_uploads_of_one_person_are_limited(site: Site, settings: Any):
    """What is refused leaves no trace; who ends a session may begin another; others are not concerned."""
    settings.HAVEN = dataclasses.replace(settings.HAVEN, max_open_uploads=2)
    first, _ = (uploads.start_upload(repository_id=site.repository, owner=OWNER) for _ in range(2))
    objects = StorageObject.objects.count()
    with pytest.raises(TooManyUploads) as refusal:
        uploads.start_upload(repository_id=site.new_repository(site.second, "elsewhere"), owner=OWNER)
    answer = render(refusal.value)
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (429, "60")
    assert json.loads(answer.body)["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert (StorageObject.objects.count(), Upload.objects.count()) == (objects, 2)
    uploads.start_upload(repository_id=site.repository, owner="user:2")
    uploads.cancel_upload(first.id)
    uploads.start_upload(repository_id=site.repository, owner=OWNER)
    with pytest.raises(RepositoryUnknown):
        uploads.start_upload(repository_id=10**9, owner="user:2")


def test_of_two_writers_to_one_session_one_is_told(site: Site):
    seen = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    won = uploads.record_progress(seen, received_bytes=5, prefix_digest=digest_of(b"hello"), staging={"bytes": 5})
    with pytest.raises(UploadConflict):
        uploads.record_progress(seen, received_bytes=7, prefix_digest=None, staging={"bytes": 7})
    with pytest.raises(UploadConflict):
        commit_upload(upload=seen, digest=digest_of(b"goodbye"), size=7)
    assert uploads.find_upload(upload_id=seen.id, repository=APP, owner=OWNER) == won
    assert (won.received_bytes, won.staging, won.prefix_digest) == (5, {"bytes": 5}, digest_of(b"hello"))
    uploads.cancel_upload(seen.id)
    with pytest.raises(UploadUnknown):
        uploads.record_progress(won, received_bytes=9, prefix_digest=None, staging={"bytes": 9})


def test_a_repeated_put_of_a_committed_upload_is_answered_again(site: Site):
    upload = site.start_upload(b"q")
    for _ in range(2):
        site.commit(upload, b"q")
    tombstone = uploads.find_upload(upload_id=upload.id, repository=APP, owner=OWNER)
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


def test_a_put_again_whose_blob_was_collected_meanwhile_publishes_nothing(site: Site):
    """The session was deduplicated, so its own bytes are dead: no blob may come to stand on them."""
    site.upload(b"a")
    upload = site.start_upload(b"a")
    site.commit(upload, b"a")
    for rows in (RepositoryBlob, ProjectBlob, Blob):
        rows.objects.all().delete()  # the collector, when the leases were over
    StorageObject.objects.filter(state="live").update(state="dead", purge_after=timezone.now())
    repair.recount_quotas()
    site.commit(upload, b"a")
    assert Blob.objects.count() == 0
    site.collect()
    assert site.stored_keys() == []


def test_a_push_repairs_a_blob_whose_bytes_are_damaged_and_the_damaged_ones_go(site: Site):
    site.push(b"a", "t")
    [damaged] = site.stored_keys()
    site.driver.delete([damaged])
    uploads_of_the_same = [site.start_upload(b"a") for _ in range(2)]
    for upload in uploads_of_the_same:
        site.commit(upload, b"a", is_sound=lambda stored: stored.storage_key != damaged)
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
