"""The first manifest of a repository comes while its project is deleted."""

import pytest

from haven_core.domain.actor import Actor
from haven_core.errors import ProjectInUse
from haven_core.models import Project
from haven_core.projects import services as projects
from haven_registry.models import Repository
from haven_registry.services import manifests
from haven_registry.services.repositories import get_or_create_repository
from tests.support.documents import image
from tests.support.races import overlap
from tests.support.site import Site

ROOT = Actor("user", 1, "root", is_sysadmin=True)


def test_a_project_that_is_deleted_while_its_first_manifest_comes_stays(site: Site, monkeypatch: pytest.MonkeyPatch):
    repository = get_or_create_repository(site.second, "new")
    payload = image(site.upload(b"a", repository))
    pushed, refused = overlap(
        monkeypatch,
        (manifests, "set_tags"),
        lambda: site.put(payload, "t", repository=repository),
        lambda: projects.delete_project(project_id=site.second, deleted_by=ROOT),
    )
    assert isinstance(refused, ProjectInUse), (pushed, refused)
    assert Repository.objects.get(id=repository).appeared_at is not None
    assert Project.objects.get(id=site.second).deleted_at is None
