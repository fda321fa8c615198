"""harborapi: the typed Python client, against what Haven has of Harbor's API."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from tests.support.harm import eventually
from tests.support.stack import HavenServer

harborapi = pytest.importorskip("harborapi", reason="harborapi is not installed")

from harborapi.client_sync import HarborClient  # noqa: E402  # needs the skip above
from harborapi.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed, Unauthorized  # noqa: E402
from harborapi.models import ProjectMetadata, ProjectReq  # noqa: E402


def client_of(haven: HavenServer, password: str) -> HarborClient:
    if haven.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")
    loop = asyncio.new_event_loop()
    return HarborClient(
        loop, url=f"{haven.url}/api/v2.0", username=haven.admin_user, secret=password, validate=True, retry=None
    )


@pytest.fixture
def harbor(haven: HavenServer) -> Iterator[HarborClient]:
    """As the administrator; answers are validated by the client's models."""
    client = client_of(haven, haven.admin_password)
    yield client
    client.loop.run_until_complete(client.client.aclose())
    client.loop.close()


@pytest.fixture
def name() -> str:
    return f"p{uuid.uuid4().hex[:12]}"


def test_system(harbor: HarborClient, haven: HavenServer) -> None:
    assert harbor.ping() == "Pong"
    eventually(lambda: harbor.health_check().status == "healthy", 60)  # the worker may start after the rest
    names = {component.name for component in harbor.health_check().components}
    assert names == {"core", "database", "jobservice", "portal", "redis", "registry"}
    info = harbor.get_system_info()
    assert info.auth_mode == "db_auth"
    assert info.harbor_version.startswith("v2.")
    assert harbor.get_current_user().username == haven.admin_user


def test_a_project_s_life(harbor: HarborClient, name: str) -> None:
    assert not harbor.project_exists(name)
    request = ProjectReq(project_name=name, metadata=ProjectMetadata(public="true", auto_scan="true"))
    assert harbor.create_project(request).endswith(f"/api/v2.0/projects/{name}")
    assert harbor.project_exists(name)
    with pytest.raises(Conflict):
        harbor.create_project(request)
    project = harbor.get_project(name)
    assert (project.name, project.metadata.public, project.metadata.auto_scan) == (name, "true", "true")
    assert harbor.get_project(project.project_id) == project
    assert [each.name for each in harbor.get_projects(query=f"name={name}")] == [name]
    harbor.delete_project(name)
    with pytest.raises(NotFound):
        harbor.get_project(name)


def test_pages_are_followed(harbor: HarborClient, name: str) -> None:
    for number in range(7):
        harbor.create_project(ProjectReq(project_name=f"{name}-{number}"))
    found = harbor.get_projects(query=f"name=~{name}", sort="-name", page_size=3)
    assert [project.name for project in found] == [f"{name}-{number}" for number in reversed(range(7))]
    assert len(harbor.get_projects(query=f"name=~{name}", page_size=3, limit=4)) == 4


def test_a_project_in_use_stays(harbor: HarborClient, haven: HavenServer, project: str) -> None:
    from tests.support.oci import random_image

    haven.client().push(f"{project}/app", random_image(), "v1")
    with pytest.raises(PreconditionFailed):
        harbor.delete_project(project)
    assert harbor.get_project(project).repo_count == 1


def test_who_is_not_logged_in(haven: HavenServer, public_project: str, project: str) -> None:
    stranger = client_of(haven, "wrong")
    assert public_project in {each.name for each in stranger.get_projects(query=f"name={public_project}")}
    with pytest.raises((Unauthorized, Forbidden)):
        stranger.get_project(project)
    with pytest.raises(Unauthorized):
        stranger.get_current_user()
