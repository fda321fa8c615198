"""Repositories, lists, pull counts, events, sweeping."""

import uuid
from datetime import date, timedelta

import pytest
from django.utils import timezone

from haven_core.errors import Conflict, ProjectUnknown
from haven_core.models import OutboxEvent, Project, ProjectQuota
from haven_gc import collect, sweep
from haven_registry import selectors
from haven_registry.errors import (
    RepositoryUnknown,
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
from haven_registry.services import repositories, uploads
from haven_registry.services.delete import delete_manifest
from haven_registry.services.pulls import PullCount, apply_pull_batch
from haven_registry.services.restore import restore_manifest
from haven_registry.storage.errors import StorageUnavailable
from tests.integration.model.conftest import Clock
from tests.support.documents import digest_of, index
from tests.support.site import OWNER, Site


def delete(site: Site, digest: str) -> None:
    delete_manifest(repository_id=site.repository, digest=digest)


def restore(site: Site, digest: str) -> None:
    restore_manifest(repository_id=site.repository, digest=digest)


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
    assert pushed == {
        "repository": site.repository, "project": site.first, "name": "first/app", "digest": digest, "tags": ["t"],
        "by": "somebody", "address": "",
    }  # fmt: skip


# ---------------------------------------------------------------- sweeping


def test_a_key_that_the_storage_refuses_to_delete_comes_up_again(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    upload = site.start_upload(b"a")
    uploads.cancel_upload(upload.id)

    def refuse(keys: object) -> None:
        raise StorageUnavailable("not now")

    with monkeypatch.context() as broken:
        broken.setattr(site.driver, "delete", refuse)
        assert sweep.sweep(site.driver) == sweep.Swept(0, 1)
    assert (site.stored_keys(), StorageObject.objects.count(), Upload.objects.count()) == ([upload.key], 1, 1)
    assert sweep.sweep(site.driver) == sweep.Swept(0, 0)
    clock.advance(minutes=6)
    assert sweep.sweep(site.driver) == sweep.Swept(1, 0)
    assert (site.stored_keys(), StorageObject.objects.count(), Upload.objects.count()) == ([], 0, 0)
