"""harbor-api-client: the client generated from Harbor's own API description."""

from __future__ import annotations

import uuid

import pytest

from tests.support.stack import HavenServer

harbor_client = pytest.importorskip("harbor_client", reason="harbor-api-client is not installed")


@pytest.fixture
def connection(haven: HavenServer) -> object:
    """An ApiClient of the administrator."""
    if haven.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")
    configuration = harbor_client.Configuration()
    configuration.host = f"{haven.url}/api/v2.0"
    configuration.username, configuration.password = haven.admin_user, haven.admin_password
    return harbor_client.ApiClient(configuration)


def test_system(connection: object, haven: HavenServer) -> None:
    assert harbor_client.PingApi(connection).get_ping() == "Pong"
    assert harbor_client.HealthApi(connection).get_health().status == "healthy"
    assert harbor_client.SysteminfoApi(connection).get_system_info().auth_mode == "db_auth"
    user = harbor_client.UserApi(connection).get_current_user_info()
    assert (user.username, user.sysadmin_flag) == (haven.admin_user, True)


def test_a_project_s_life(connection: object) -> None:
    projects = harbor_client.ProjectApi(connection)
    name = f"p{uuid.uuid4().hex[:12]}"
    request = harbor_client.ProjectReq(project_name=name, metadata=harbor_client.ProjectMetadata(public="false"))
    _, status, headers = projects.create_project_with_http_info(request)
    assert status == 201
    project_id = int(headers["Location"].rpartition("/")[2])
    project = projects.get_project(name, x_is_resource_name=True)
    assert (project.project_id, project.metadata.public) == (project_id, "false")
    assert projects.get_project(str(project_id)).name == name
    found, _, headers = projects.list_projects_with_http_info(q=f"name={name}", page_size=1)
    assert ([each.name for each in found], headers["X-Total-Count"]) == ([name], "1")
    with pytest.raises(harbor_client.rest.ApiException) as refused:
        projects.create_project(request)
    assert refused.value.status == 409
    projects.delete_project(name)
    with pytest.raises(harbor_client.rest.ApiException) as missing:
        projects.get_project(name)
    assert missing.value.status == 404


def test_limits_of_a_page(connection: object) -> None:
    with pytest.raises(ValueError, match="100"):  # the client itself knows the contract
        harbor_client.ProjectApi(connection).list_projects(page_size=101)
