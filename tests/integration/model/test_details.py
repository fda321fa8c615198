"""Explaining what was pushed: after the commit, once, and never in a push's way."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from haven_registry.artifacts.details import MAX_CONFIG_BYTES
from haven_registry.models import ArtifactDetail, Manifest
from haven_registry.services.copying import copy_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.details import consume, load_details
from haven_registry.storage.errors import StorageError
from tests.support.documents import index
from tests.support.site import Site

CONFIG = {"os": "linux", "architecture": "amd64", "author": "me", "history": [{"created_by": "x", "empty_layer": True}]}


def push(site: Site, config: Any, *tags: str) -> int:
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    return Manifest.objects.get(digest=site.push(data, *tags)).id


def drain(site: Site) -> None:
    while consume(site.driver):
        pass


def test_the_consumer_explains_each_push_once(site: Site) -> None:
    manifest_id = push(site, CONFIG, "v1")
    drain(site)
    row = ArtifactDetail.objects.get()
    assert (row.manifest_id, row.platform, row.author, row.error) == (manifest_id, "linux/amd64", "me", "")
    site.put(bytes(Manifest.objects.get().payload), "v2")  # the same again
    drain(site)
    assert list(ArtifactDetail.objects.values_list("id", flat=True)) == [row.id]


def test_a_reader_who_comes_first_explains(site: Site) -> None:
    manifest_id = push(site, CONFIG)
    assert load_details([manifest_id], site.driver)[manifest_id].platform == "linux/amd64"
    assert ArtifactDetail.objects.get().manifest_id == manifest_id


@pytest.mark.parametrize("config", [b"", b"\xff", b"[" * 100_000, b"{}" + b" " * MAX_CONFIG_BYTES, b'{"a":"\\u0000"}'])
def test_a_hostile_config_is_stored_as_a_reason(site: Site, config: bytes) -> None:
    manifest_id = push(site, config)
    drain(site)
    row = ArtifactDetail.objects.get(manifest_id=manifest_id)
    assert (row.error != "") is (config != b'{"a":"\\u0000"}')
    assert row.platform == ""


def test_storage_that_fails_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest_id = push(site, CONFIG)

    def fail(*_: Any, **__: Any) -> Any:
        raise StorageError("the disk is away")

    with monkeypatch.context() as broken:
        broken.setattr(site.driver, "read", fail)
        assert "now" in load_details([manifest_id], site.driver)[manifest_id].error
    assert not ArtifactDetail.objects.exists()
    assert load_details([manifest_id], site.driver)[manifest_id].error == ""


def test_a_copied_index_is_explained_with_its_children(site: Site) -> None:
    child = site.push(json.dumps(CONFIG).encode())
    root = site.put(index(child)).digest
    other = site.new_repository(site.second, "other")
    copy_artifact(source_repository_id=site.repository, digest=root, repository_id=other, project_id=site.second)
    drain(site)
    assert ArtifactDetail.objects.filter(manifest__repository_id=other).count() == 2


def test_the_purge_takes_it_along(site: Site, clock: Any) -> None:
    push(site, CONFIG, "v1")
    drain(site)
    delete_manifest(repository_id=site.repository, digest=Manifest.objects.get().digest)
    clock.advance(days=30)
    site.collect()
    assert not Manifest.objects.exists()
    assert not ArtifactDetail.objects.exists()


def test_many_take_as_many_statements_as_one(site: Site) -> None:
    ids = [push(site, CONFIG | {"author": str(number)}) for number in range(9)]
    counts = []
    for wanted in (ids[:1], ids[1:]):
        with CaptureQueriesContext(connection) as captured:
            assert load_details(wanted, site.driver).keys() == set(wanted)
        counts.append(len(captured))
    assert counts[0] == counts[1]
