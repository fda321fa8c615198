"""Leases, trash, indexes, quota, untagged manifests: what stays, what goes, and when."""

from collections import Counter

import pytest

from haven_core.errors import QuotaExceeded
from haven_gc import collect
from haven_registry import selectors
from haven_registry.errors import (
    ManifestBlobUnknown,
    ManifestReferenced,
    ManifestUnknown,
)
from haven_registry.models import (
    Blob,
    Manifest,
    RepositoryBlob,
    StorageObject,
    TagHistory,
    Upload,
)
from haven_registry.services import tags
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import restore_manifest
from tests.integration.model.conftest import Clock
from tests.support.documents import digest_of, image, index
from tests.support.site import Site


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
    assert not TagHistory.objects.filter(manifest__isnull=False).exists()


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


def test_a_push_evicts_only_as_much_of_the_oldest_trash_as_it_needs(site: Site, clock: Clock):
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


def test_trashing_the_untagged_can_be_stopped_after_a_few(site: Site, clock: Clock):
    for number in range(collect.FEW + 2):
        site.push(b"%d" % number)
    clock.advance(days=30)

    def stop(did: Counter[str]) -> None:
        if did["untagged"]:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        collect.collect(site.first, delete_untagged=True, after=stop)
    assert Manifest.objects.filter(deleted_at=None).count() == 2


def test_untagged_manifests_that_are_young_or_lost_their_tag_lately_stay(site: Site, clock: Clock):
    moved = site.push(b"old", "t")
    clock.advance(days=2)
    site.push(b"new", "t")
    young = site.push(b"young")
    assert sum(collect.trash_untagged(site.first)) == 0
    assert site.is_live(moved)
    clock.advance(days=8)
    assert sum(collect.trash_untagged(site.first)) == 2
    assert not site.is_live(young)
