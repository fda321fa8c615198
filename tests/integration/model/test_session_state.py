"""What the address of a session carries, read back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from haven_core.errors import ProjectUnknown
from haven_registry.errors import TooManyUploads, UploadConflict
from haven_registry.models import Blob, StorageObject, Upload
from haven_registry.services import uploads
from haven_registry.services.publishing import commit_upload
from haven_registry.services.repositories import delete_repository, restore_repository
from haven_registry.services.uploads import OpenUpload
from haven_registry.storage.keys import new_key
from haven_registry.v2 import carried
from tests.support.documents import digest_of
from tests.support.site import OWNER, Site

APP = "first/app"
PROJECT = 4711  # of that name by now


@pytest.fixture
def upload(site: Site) -> OpenUpload:
    return site.start_upload(b"abc")


@pytest.fixture
def promise(site: Site) -> OpenUpload:
    return uploads.promise_upload(project_id=site.first, repository="app", owner=OWNER)


def state_of(upload: OpenUpload) -> str:
    return carried.write(upload, APP).partition(".")[2]


def read(upload_id: UUID, state: str, *, repository: str = APP, owner: str = OWNER) -> OpenUpload | None:
    return carried.read(upload_id, state, project_id=PROJECT, repository=repository, owner=owner)


def test_it_is_what_a_look_up_would_find(site: Site, upload: OpenUpload):
    fresh = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    for each in (upload, fresh):
        found = read(each.id, state_of(each))
        assert found == each == uploads.find_upload(upload_id=each.id, repository=APP, owner=OWNER)
        assert found.is_carried


def test_it_knows_whether_the_bytes_are_new(site: Site):
    site.upload(b"known")
    for data in (b"known", b"new"):
        upload = site.start_upload(data)
        found = read(upload.id, state_of(upload))
        assert found is not None
        assert found.is_new is (data == b"new")


def test_bytes_recorded_since_under_the_same_version_are_not_published(site: Site, upload: OpenUpload):
    """A relaxed commit may be lost with the database's machine, and its version be given once more."""
    old = read(upload.id, state_of(upload))
    assert old is not None
    Upload.objects.filter(id=upload.id).update(prefix_digest=digest_of(b"xyz"))
    for is_new in (True, False):
        with pytest.raises(UploadConflict):
            commit_upload(upload=replace(old, is_new=is_new), digest=digest_of(b"abc"), size=3)
    assert Blob.objects.count() == 0
    assert Upload.objects.get().state == Upload.OPEN


def test_it_ends_with_the_name_of_its_repository(site: Site, upload: OpenUpload):
    delete_repository(site.repository)
    restore_repository(site.repository, name="other")
    with pytest.raises(UploadConflict):
        site.commit(upload, b"abc")
    assert Blob.objects.count() == 0


def test_what_the_look_up_knew_of_a_digest_is_kept(site: Site):
    upload = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    wanted = digest_of(b"abcdef")
    found = uploads.find_upload(upload_id=upload.id, repository=APP, owner=OWNER, digest=wanted)
    recorded = uploads.record_progress(found, received_bytes=6, prefix_digest=None, staging={"bytes": 6})
    assert recorded.is_new


@pytest.mark.parametrize("kind", ["upload", "promise"])
def test_it_is_bound(kind: str, request: pytest.FixtureRequest):
    upload: OpenUpload = request.getfixturevalue(kind)
    state = state_of(upload)
    assert read(upload.id, state) is not None
    assert read(uuid4(), state) is None
    assert read(upload.id, state, repository="first/other") is None
    assert read(upload.id, state, owner="user:2") is None


@pytest.mark.parametrize("kind", ["upload", "promise"])
def test_every_byte_of_it_counts(kind: str, request: pytest.FixtureRequest):
    upload: OpenUpload = request.getfixturevalue(kind)
    raw = urlsafe_b64decode(state_of(upload))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert read(upload.id, urlsafe_b64encode(changed).decode()) is None


@pytest.mark.parametrize("state", ["", "x", "é", "=" * 8, "A" * 4000, "\n", "%2e"])
def test_anything_else_is_nothing(upload: OpenUpload, state: str):
    assert read(upload.id, state) is None


def test_another_secret_key_knows_it_not(upload: OpenUpload, settings):
    state = state_of(upload)
    settings.HAVEN = replace(settings.HAVEN, secret_key="k" * 60)
    assert read(upload.id, state) is None


@pytest.mark.parametrize(("kind", "seconds"), [("upload", carried.LASTS_SECONDS), ("promise", 24 * 3600)])
def test_it_ends(kind: str, seconds: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    upload: OpenUpload = request.getfixturevalue(kind)
    now = carried.time.time()
    for later, is_good in ((seconds - 5, True), (seconds + 5, False)):
        monkeypatch.setattr(carried.time, "time", lambda later=later: now + later)
        assert (read(upload.id, state_of(upload)) is not None) is is_good


@pytest.mark.parametrize(
    "change",
    [
        lambda upload: replace(upload, algorithm="sha512"),
        lambda upload: replace(upload, prefix_digest=None),
        lambda upload: replace(upload, prefix_digest="sha512:" + "0" * 128),
        lambda upload: replace(upload, staging={"bytes": 3, "parts": []}),
        lambda upload: replace(upload, state="committed"),
    ],
)
def test_what_cannot_be_said_in_it_is_looked_up(upload: OpenUpload, change: Callable[[OpenUpload], OpenUpload]):
    assert carried.write(change(upload), APP) == str(upload.id)


def test_not_where_the_storage_goes_by_the_state_alone(upload: OpenUpload, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carried.driver(), "sees_staged", False)
    assert carried.write(upload, APP) == str(upload.id)


def test_a_long_session_keeps_its_begin(upload: OpenUpload):
    old = replace(upload, created_at=upload.created_at - timedelta(seconds=60))
    found = read(old.id, state_of(old))
    assert found is not None
    assert found.created_at == old.created_at


def test_a_promise_is_all_there_is(site: Site, promise: OpenUpload):
    found = read(promise.id, state_of(promise))
    assert found is not None
    assert (found.id, found.created_at, found.promised_to, found.owner) == (
        promise.id, promise.created_at, "app", OWNER,
    )  # fmt: skip
    assert found.project_id == PROJECT
    assert found.key != promise.key, "each request has its own"
    assert (Upload.objects.count(), StorageObject.objects.count()) == (0, 0)
    assert not uploads.was_recorded(promise.id)


def test_a_promise_is_recorded_once(site: Site, promise: OpenUpload):
    """Of two requests with its first bytes: the other's key is not known afterwards, and its bytes are its own affair."""
    progress: dict[str, Any] = {"prefix_digest": digest_of(b"abc"), "staging": {"bytes": 3}}
    other = replace(promise, key=new_key())
    recorded = uploads.record_progress(promise, received_bytes=3, **progress)
    for again in (
        lambda: uploads.record_progress(other, received_bytes=3, **progress),
        lambda: uploads.record_upload(other),
    ):
        with pytest.raises(UploadConflict):
            again()
    assert StorageObject.objects.get().storage_key == promise.key
    found = uploads.find_upload(upload_id=promise.id, repository=APP, owner=OWNER)
    assert found == recorded
    assert (found.received_bytes, found.version, found.prefix_digest) == (3, 1, digest_of(b"abc"))
    assert recorded.is_new
    assert found.created_at == promise.created_at, "its time runs from when it was promised"


def test_a_promise_makes_its_repository(site: Site):
    promise = uploads.promise_upload(project_id=site.second, repository="deep/er", owner=OWNER)
    recorded = uploads.record_upload(promise)
    assert (recorded.project_id, recorded.is_promised, recorded.received_bytes, recorded.is_new) == (
        site.second, False, 0, False,
    )  # fmt: skip
    assert Upload.objects.get().repository.full_name == "second/deep/er"


def test_a_promise_whose_bytes_others_have_is_not_new(site: Site, promise: OpenUpload):
    site.upload(b"abc")
    recorded = uploads.record_progress(promise, received_bytes=3, prefix_digest=digest_of(b"abc"), staging={"bytes": 3})
    assert not recorded.is_new


def test_a_promise_is_refused_with_nothing_written(site: Site, promise: OpenUpload, settings):
    site.start_upload(b"one")
    before = StorageObject.objects.count()
    with pytest.raises(ProjectUnknown):
        uploads.record_upload(replace(promise, project_id=10**9))
    settings.HAVEN = replace(settings.HAVEN, max_open_uploads=1)
    with pytest.raises(TooManyUploads):
        uploads.record_upload(promise)
    assert (Upload.objects.count(), StorageObject.objects.count()) == (1, before)
