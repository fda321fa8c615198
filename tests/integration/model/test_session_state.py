"""What the address of a session carries, read back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from haven_registry.errors import UploadConflict
from haven_registry.models import Blob, Upload
from haven_registry.services import uploads
from haven_registry.services.repositories import delete_repository, restore_repository
from haven_registry.services.uploads import OpenUpload
from haven_registry.v2 import carried
from tests.support.documents import digest_of
from tests.support.site import OWNER, Site

APP = "first/app"


@pytest.fixture
def upload(site: Site) -> OpenUpload:
    return site.start_upload(b"abc")


def state_of(upload: OpenUpload) -> str:
    return carried.write(upload, APP).partition(".")[2]


def test_it_is_what_a_look_up_would_find(site: Site, upload: OpenUpload):
    fresh = uploads.start_upload(repository_id=site.repository, owner=OWNER)
    for each in (upload, fresh):
        found = carried.read(each.id, state_of(each), repository=APP, owner=OWNER)
        assert found == each == uploads.find_upload(upload_id=each.id, repository=APP, owner=OWNER)
        assert found.is_carried


def test_it_knows_whether_the_bytes_are_new(site: Site):
    site.upload(b"known")
    for data in (b"known", b"new"):
        upload = site.start_upload(data)
        found = carried.read(upload.id, state_of(upload), repository=APP, owner=OWNER)
        assert found is not None
        assert found.is_new is (data == b"new")


def test_bytes_recorded_since_under_the_same_version_are_not_published(site: Site, upload: OpenUpload):
    """A relaxed commit may be lost with the database's machine, and its version be given once more."""
    old = carried.read(upload.id, state_of(upload), repository=APP, owner=OWNER)
    assert old is not None
    Upload.objects.filter(id=upload.id).update(prefix_digest=digest_of(b"xyz"))
    for is_new in (True, False):
        with pytest.raises(UploadConflict):
            uploads.commit_upload(upload=replace(old, is_new=is_new), digest=digest_of(b"abc"), size=3)
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


def test_it_is_bound(upload: OpenUpload):
    state = state_of(upload)
    assert carried.read(uuid4(), state, repository=APP, owner=OWNER) is None
    assert carried.read(upload.id, state, repository="first/other", owner=OWNER) is None
    assert carried.read(upload.id, state, repository=APP, owner="user:2") is None


def test_every_byte_of_it_counts(upload: OpenUpload):
    raw = urlsafe_b64decode(state_of(upload))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert carried.read(upload.id, urlsafe_b64encode(changed).decode(), repository=APP, owner=OWNER) is None


@pytest.mark.parametrize("state", ["", "x", "é", "=" * 8, "A" * 4000, "\n", "%2e"])
def test_anything_else_is_nothing(upload: OpenUpload, state: str):
    assert carried.read(upload.id, state, repository=APP, owner=OWNER) is None


def test_another_secret_key_knows_it_not(upload: OpenUpload, settings):
    state = state_of(upload)
    settings.HAVEN = replace(settings.HAVEN, secret_key="k" * 60)
    assert carried.read(upload.id, state, repository=APP, owner=OWNER) is None


def test_it_ends(upload: OpenUpload, monkeypatch: pytest.MonkeyPatch):
    now = carried.time.time()
    for later, is_good in ((carried.LASTS_SECONDS - 5, True), (carried.LASTS_SECONDS + 5, False)):
        monkeypatch.setattr(carried.time, "time", lambda later=later: now + later)
        assert (carried.read(upload.id, state_of(upload), repository=APP, owner=OWNER) is not None) is is_good


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
    found = carried.read(old.id, state_of(old), repository=APP, owner=OWNER)
    assert found is not None
    assert found.created_at == old.created_at
