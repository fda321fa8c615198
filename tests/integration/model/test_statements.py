"""How many statements things take: what is asked on every request takes one, and nothing grows with its rows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from haven_registry import selectors
from haven_registry.services.delete import delete_manifest
from tests.support.documents import digest_of, image
from tests.support.site import Site
from tests.support.statements import work_of

Exactly = Callable[[int], AbstractContextManager[Any]]


def test_every_read_is_one_statement(site: Site, django_assert_num_queries: Exactly):
    digest = site.push(b"a", "t")
    reads: list[Callable[[], object]] = [
        lambda: selectors.find_repository("first", "app"),
        lambda: selectors.find_blob("first", "app", digest_of(b"a")),
        lambda: selectors.find_mountable_repository(site.first, digest_of(b"a")),
        lambda: selectors.find_manifest("first", "app", tag="t"),
        lambda: selectors.find_manifest("first", "app", digest=digest),
        lambda: selectors.resolve_tag(site.repository, "t"),
        lambda: selectors.list_tags(site.repository),
        lambda: selectors.list_repositories([site.first]),
        lambda: selectors.has_manifests(site.repository),
    ]
    for read in reads:
        with django_assert_num_queries(1):
            assert read()


def statements(what: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        what()
    return len(work_of(captured))


@pytest.mark.parametrize("layers", [2, 20])
def test_a_push_takes_the_same_number_of_statements_whatever_its_size(site: Site, layers: int):
    digests = [site.upload(b"layer %d" % number) for number in range(layers)]
    upload = site.start_upload(b"one more")
    assert statements(lambda: site.commit(upload, b"one more")) == (7 if connection.vendor == "postgresql" else 6)
    payload = image(*digests)
    assert statements(lambda: site.put(payload, "a", "b")) == 8


@pytest.mark.parametrize("layers", [2, 20])
def test_a_delete_takes_the_same_number_of_statements_whatever_its_size(site: Site, layers: int):
    digest = site.put(image(*(site.upload(b"layer %d" % number) for number in range(layers))), "a", "b").digest
    assert statements(lambda: delete_manifest(repository_id=site.repository, digest=digest)) == 16
