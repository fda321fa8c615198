"""A repository that holds uploads only: nobody sees it, and it is in nobody's way."""

import pytest

from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.models import OutboxEvent, Project
from haven_core.projects import services as projects
from haven_gc import collect, sweep
from haven_registry import selectors
from haven_registry.errors import RepositoryUnknown
from haven_registry.models import Blob, Manifest, Repository, Upload
from haven_registry.repository_list import find_repository, list_repositories
from haven_registry.services.delete import delete_manifest
from haven_registry.services.repositories import get_or_create_repository
from tests.support.site import Site

ROOT = Actor("user", 1, "root", is_sysadmin=True)


def seen(project_id: int) -> list[str]:
    views, total = list_repositories([project_id], ListQuery())
    assert total == len(views) == selectors.count_repositories([project_id]).get(project_id, 0)
    return [view.full_name for view in views]


def created() -> list[str]:
    return [event.payload["name"] for event in OutboxEvent.objects.filter(topic="repository.created")]


def test_it_appears_with_its_first_manifest_and_stays(site: Site):
    repository = get_or_create_repository(site.second, "new")
    site.upload(b"a", repository)
    assert seen(site.second) == []
    with pytest.raises(RepositoryUnknown):
        find_repository(site.second, "new")
    assert "second/new" not in created()
    for data in (b"b", b"c"):
        site.push(data, "t", repository=repository)
    for digest in Manifest.objects.filter(repository_id=repository).values_list("digest", flat=True):
        delete_manifest(repository_id=repository, digest=digest)
    assert seen(site.second) == ["second/new"]
    assert find_repository(site.second, "new").artifacts == 0
    assert created().count("second/new") == 1


def test_it_does_not_keep_its_project(site: Site):
    repository = get_or_create_repository(site.second, "new")
    site.upload(b"a", repository)
    site.start_upload(b"b", repository)
    projects.delete_project(project_id=site.second, deleted_by=ROOT)
    assert Project.objects.get(id=site.second).deleted_at is not None
    for _ in range(2):  # a cancelled upload goes with its bytes, the repository when that is gone
        while not collect.was_idle(collect.collect(site.second)):
            pass
        sweep.sweep(site.driver)
    assert not Repository.objects.filter(id=repository).exists()
    assert not Upload.objects.exists()
    assert not Blob.objects.exists()
