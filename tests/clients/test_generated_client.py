"""The client that Swagger Codegen makes of Harbor's contract (harbor-api-client on PyPI): what it sends is taken as it is,
and what it is answered fits its models."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.oci import random_image
from tests.support.stack import HavenServer

harbor_client = pytest.importorskip("harbor_client", reason="harbor-api-client is not installed")

PASSWORD = "Correct1horse"

Make = Callable[..., Any]


@pytest.fixture
def apis(haven: HavenServer) -> Iterator[Make]:
    """`apis("Project")`: one of the client's classes, as the administrator or as somebody else."""
    if haven.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")
    clients = []

    def make(name: str, user: str = haven.admin_user, password: str = haven.admin_password) -> Any:
        configuration = harbor_client.Configuration()
        configuration.host = f"{haven.url}/api/v2.0"
        configuration.username, configuration.password = user, password
        clients.append(harbor_client.ApiClient(configuration))
        return getattr(harbor_client, f"{name}Api")(clients[-1])

    yield make
    for client in clients:
        client.rest_client.pool_manager.clear()


@pytest.fixture
def name() -> str:
    return f"p{uuid.uuid4().hex[:12]}"


def created(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The last part of Location, which clients take for the id."""
    _, status, headers = call(*arguments, **options)
    assert status == 201
    return str(headers["Location"].rpartition("/")[2])


def refused(status: int, code: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    with pytest.raises(harbor_client.rest.ApiException) as caught:
        call(*arguments, **options)
    assert caught.value.status == status
    assert json.loads(caught.value.body)["errors"][0]["code"] == code
    assert caught.value.headers["X-Request-ID"]


def test_system(apis: Make, haven: HavenServer) -> None:
    assert apis("Ping").get_ping() == "Pong"
    assert {one.name for one in apis("Health").get_health().components} >= {"core", "database", "registry"}
    information = apis("Systeminfo")
    assert information.get_system_info().harbor_version.startswith("v2.")
    assert apis("Systeminfo", "", "").get_system_info().harbor_version is None
    assert information.get_volumes().storage[0].total > 0
    assert apis("Statistic").get_statistic().total_project_count >= 1
    permissions = apis("Permissions").get_permissions()
    assert (len(permissions.system), len(permissions.project)) == (70, 70)
    assert apis("User").get_current_user_info().username == haven.admin_user


def test_configuration(apis: Make) -> None:
    configure = apis("Configure")
    assert configure.get_configurations().robot_name_prefix.value == "robot$"
    for text in ('{"message": "down on Sunday", "type": "warning"}', ""):
        configure.update_configurations(harbor_client.Configurations(banner_message=text))
        assert configure.get_configurations().banner_message.value == text
    wrong = harbor_client.Configurations(session_timeout=0)
    refused(400, "BAD_REQUEST", configure.update_configurations, wrong)
    allowlist = apis("SystemCVEAllowlist")
    allowlist.put_system_cve_allowlist(allowlist={"items": [{"cve_id": "CVE-2026-1"}]})
    assert [one.cve_id for one in allowlist.get_system_cve_allowlist().items] == ["CVE-2026-1"]
    allowlist.put_system_cve_allowlist(allowlist={"items": []})


def test_a_project_s_life(apis: Make, name: str) -> None:
    projects, metadata = apis("Project"), apis("ProjectMetadata")
    refused_body = harbor_client.ProjectReq(project_name="No Name")
    refused(400, "BAD_REQUEST", projects.create_project, refused_body)
    asked = harbor_client.ProjectReq(
        project_name=name, metadata=harbor_client.ProjectMetadata(public="true"), storage_limit=1000
    )
    number = created(projects.create_project_with_http_info, asked)
    refused(409, "CONFLICT", projects.create_project, asked)
    projects.head_project(name)
    project = projects.get_project(name, x_is_resource_name=True)
    assert (str(project.project_id), project.name, project.metadata.public) == (number, name, "true")
    assert project.current_user_role_id == 1
    change = harbor_client.ProjectReq(metadata=harbor_client.ProjectMetadata(public="false", severity="high"))
    projects.update_project(name, change)
    metadata.add_project_metadatas(name, metadata={"auto_scan": "true"})
    assert metadata.list_project_metadatas(name) == {"public": "false", "severity": "high", "auto_scan": "true"}
    metadata.update_project_metadata(name, "auto_scan", metadata={"auto_scan": "false"})
    assert metadata.get_project_metadata(name, "auto_scan") == {"auto_scan": "false"}
    metadata.delete_project_metadata(name, "auto_scan")
    quotas = apis("Quota")
    [quota] = quotas.list_quotas(reference="project", reference_id=number)
    assert quota.hard == {"storage": 1000}
    quotas.update_quota(quota.id, harbor_client.QuotaUpdateReq(hard={"storage": -1}))
    assert quotas.get_quota(quota.id).hard == {"storage": -1}
    summary = projects.get_project_summary(name)
    assert (summary.repo_count, summary.project_admin_count, summary.quota.hard) == (0, 1, {"storage": -1})
    assert projects.get_project_deletable(name).deletable is True
    projects.delete_project(name)
    refused(404, "NOT_FOUND", projects.get_project, name)


def test_pages(apis: Make, name: str) -> None:
    projects = apis("Project")
    for number in range(3):
        projects.create_project(harbor_client.ProjectReq(project_name=f"{name}-{number}"))
    query = {"q": f"name=~{name}", "sort": "-name", "page_size": 2}
    rows, _, headers = projects.list_projects_with_http_info(**query, page=1)
    assert [row.name for row in rows] == [f"{name}-2", f"{name}-1"]
    assert headers["X-Total-Count"] == "3"
    assert 'rel="next"' in headers["Link"]
    assert [row.name for row in projects.list_projects(**query, page=2)] == [f"{name}-0"]
    found = apis("Search").search(name)
    assert sorted(row.name for row in found.project) == [f"{name}-{number}" for number in range(3)]


def test_people(apis: Make, project: str, name: str) -> None:
    users, members, groups = apis("User"), apis("Member"), apis("Usergroup")
    asked = harbor_client.UserCreationReq(username=name, email=f"{name}@example.com", realname="N", password=PASSWORD)
    number = int(created(users.create_user_with_http_info, asked))
    refused(409, "CONFLICT", users.create_user, asked)
    assert [one.user_id for one in users.search_users(name)] == [number]
    assert users.list_users(q=f"username={name}")[0].email == f"{name}@example.com"
    refused(403, "FORBIDDEN", apis("Project", name, PASSWORD).get_project, project)
    member = harbor_client.ProjectMember(role_id=3, member_user=harbor_client.UserEntity(username=name))
    membership = int(created(members.create_project_member_with_http_info, project, project_member=member))
    assert apis("Project", name, PASSWORD).get_project(project).current_user_role_id == 3
    members.update_project_member(project, membership, role=harbor_client.RoleRequest(role_id=2))
    assert members.get_project_member(project, membership).role_name == "developer"
    assert [one.entity_name for one in members.list_project_members(project, entityname=name)] == [name]
    own = apis("User", name, PASSWORD).get_current_user_permissions(scope=f"/project/{project_id(apis, project)}")
    assert "push" in {one.action for one in own}
    members.delete_project_member(project, membership)
    group = int(
        created(
            groups.create_user_group_with_http_info,
            usergroup=harbor_client.UserGroup(group_name=f"g{name}", group_type=3),
        )
    )
    groups.update_user_group(group, usergroup=harbor_client.UserGroup(group_name=f"h{name}"))
    assert [one.id for one in groups.search_user_groups(f"h{name}")] == [group]
    groups.delete_user_group(group)
    users.set_user_sys_admin(number, harbor_client.UserSysAdminFlag(sysadmin_flag=True))
    assert users.get_user(number).sysadmin_flag is True
    users.update_user_profile(number, harbor_client.UserProfile(email=f"x{name}@example.com", realname="M"))
    users.update_user_password(number, harbor_client.PasswordReq(new_password="Another1horse"))
    refused(401, "UNAUTHORIZED", apis("User", name, PASSWORD).get_current_user_info)
    users.delete_user(number)
    refused(404, "NOT_FOUND", users.get_user, number)


def project_id(apis: Make, name: str) -> int:
    return int(apis("Project").get_project(name).project_id)


def test_robots(apis: Make, haven: HavenServer, project: str) -> None:
    robots = apis("Robot")
    access = [harbor_client.Access(resource="repository", action=action) for action in ("push", "pull")]
    place = harbor_client.RobotPermission(kind="project", namespace=project, access=access)
    asked = harbor_client.RobotCreate(name="ci", level="project", duration=30, permissions=[place])
    robot = robots.create_robot(asked)
    assert robot.name == f"robot${project}+ci"
    haven.client(robot.name, robot.secret).push(f"{project}/app", random_image(), "v1")
    assert [one.name for one in apis("Project", robot.name, robot.secret).list_projects(name=project)] == [project]
    shown = robots.get_robot_by_id(robot.id)
    assert (shown.duration, shown.secret) == (30, None)
    shown.description = "pushes"
    robots.update_robot(robot.id, shown)
    refreshed = robots.refresh_sec(robot.id, harbor_client.RobotSec()).secret
    assert refreshed != robot.secret
    found = robots.list_robot(q=f"Level=project,ProjectID={project_id(apis, project)}")
    assert [(one.id, one.description) for one in found] == [(robot.id, "pushes")]
    robots.delete_robot(robot.id)
    refused(404, "NOT_FOUND", robots.get_robot_by_id, robot.id)


def test_what_lies_in_a_repository(apis: Make, haven: HavenServer, project: str) -> None:
    """Its name is encoded once by the caller and once more by the client."""
    haven.client().push(f"{project}/team/app", random_image(), "v1")
    labels, artifacts, repositories = apis("Label"), apis("Artifact"), apis("Repository")
    label = harbor_client.Label(name="ready", scope="p", project_id=project_id(apis, project))
    number = int(created(labels.create_label_with_http_info, label))
    place = (project, "team%2Fapp")
    assert [one.name for one in repositories.list_repositories(project)] == [f"{project}/team/app"]
    repositories.update_repository(*place, harbor_client.Repository(description="the app"))
    assert repositories.get_repository(*place).description == "the app"
    artifacts.add_label(*place, "v1", harbor_client.Label(id=number))
    artifact = artifacts.get_artifact(*place, "v1", with_label=True)
    assert ([one.name for one in artifact.labels], [one.name for one in artifact.tags]) == (["ready"], ["v1"])
    artifacts.create_tag(*place, "v1", harbor_client.Tag(name="v2"))
    assert [one.name for one in artifacts.list_tags(*place, "v1", sort="name")] == ["v1", "v2"]
    refused(412, "PRECONDITION", apis("Project").delete_project, project)
    logs = apis("Auditlog").list_audit_logs(q=f"resource=~{project}", page_size=100)
    assert all(one.username == haven.admin_user for one in logs)
    artifacts.delete_artifact(*place, "v1")
    repositories.delete_repository(*place)
    labels.delete_label(number)
    apis("Project").delete_project(project)
