"""What readers remember of a tag that others change at the same time: whoever is answered sees what is. PostgreSQL only
(conftest.collect_ignore): the tests' SQLite is in memory, where nobody remembers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection

from haven_core import visibility
from haven_registry import selectors
from haven_registry.errors import TagUnknown
from haven_registry.services.repositories import delete_repository
from haven_registry.services.tags import delete_tag, move_tag
from haven_registry.v2 import remembered
from haven_registry.v2.payloads import payload_of
from tests.support.documents import digest_of, image
from tests.support.site import Site, seen_repository

Exactly = Callable[[int], AbstractContextManager[Any]]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    visibility.make_gone()
    remembered.forget()
    yield
    visibility.make_gone()


def somebody_else(change: Callable[[], object]) -> None:
    """Another process commits a change, and has not answered yet."""

    def run() -> None:
        try:
            change()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def named(tag: str = "t") -> str | None:
    """What a reader answers."""
    found = remembered.find_tagged("first", "app", tag)
    return found and found.digest


def test_a_pull_by_tag_and_digest_is_one_look_up(site: Site, django_assert_num_queries: Exactly):
    payload = image(site.upload(b"a"))
    digest = site.put(payload, "t").digest
    with django_assert_num_queries(1):
        found = remembered.find_tagged("first", "app", "t")
        assert found is not None
        assert remembered.find_manifest("first", "app", digest) == found
        assert payload_of(found.id) == payload


def test_a_push_while_the_delete_of_the_tag_is_not_answered_yet(site: Site):
    old, new = site.push(b"old", "t"), site.push(b"new")
    visibility.make_gone()
    assert named() == old
    somebody_else(lambda: delete_tag(repository_id=site.repository, name="t"))
    move_tag(repository_id=site.repository, name="t", digest=new)
    visibility.make_gone()
    assert named() == new


def test_two_that_push_the_same(site: Site):
    old, new = site.push(b"old", "t"), site.push(b"new")
    visibility.make_gone()
    assert named() == old
    somebody_else(lambda: move_tag(repository_id=site.repository, name="t", digest=new))
    move_tag(repository_id=site.repository, name="t", digest=new)
    visibility.make_gone()
    assert named() == new


def test_two_that_delete_the_same(site: Site):
    old = site.push(b"old", "t")
    visibility.make_gone()
    assert named() == old
    somebody_else(lambda: delete_tag(repository_id=site.repository, name="t"))
    with pytest.raises(TagUnknown):
        delete_tag(repository_id=site.repository, name="t")
    visibility.make_gone()
    assert named() is None


def test_a_repository_made_anew_while_the_delete_of_the_other_is_not_answered_yet(site: Site):
    old = site.push(b"old", "t")
    visibility.make_gone()
    assert named() == old
    somebody_else(lambda: delete_repository(site.repository))
    again = seen_repository(site.first, "app")
    visibility.make_gone()
    assert again != site.repository
    assert named() is None


def test_a_new_tag_waits_for_nothing(site: Site):
    site.push(b"old", "t")
    visibility.make_gone()
    site.push(b"new", "u")
    assert not getattr(visibility._thread, "has_taken", False)


def test_a_blob_repaired(site: Site):
    site.upload(b"a")
    upload = site.start_upload(b"a")
    damaged = remembered.find_blob("first", "app", digest_of(b"a"))
    site.commit(upload, b"a", is_sound=lambda _: False)
    visibility.make_gone()
    for find in (selectors.find_blob, remembered.find_blob):
        found = find("first", "app", digest_of(b"a"))
        assert found is not None
        assert found.storage_key == upload.key
        assert found != damaged
