"""What /robots refuses, and that nothing comes of it."""

from typing import Any

import pytest

from haven_core.domain.roles import Role
from haven_core.models import OutboxEvent, ProjectMember, Robot, RobotPermission, RobotSecret
from haven_core.projects.services import create_project
from tests.api.robots.conftest import Call, MakeRobot, place, project_robot, system_robot

pytestmark = pytest.mark.django_db(transaction=True)


def everything() -> list[Any]:
    """All there is of robots."""
    events = OutboxEvent.objects.filter(topic__startswith="robot.")
    return [
        sorted(map(str, rows.values()))
        for rows in (Robot.objects, RobotPermission.objects, RobotSecret.objects, events)
    ]


BAD_BODIES = [
    (400, system_robot("Upper")), (400, system_robot("")), (400, system_robot("a+b")), (400, system_robot("a$b")),
    (400, system_robot("a" * 256)), (400, project_robot("a" * 250)), (400, system_robot("ci\n")),
    (400, system_robot("-a")), (400, system_robot(duration=0)), (400, system_robot(duration=-2)),
    (400, system_robot(duration=None)), (400, system_robot(duration=10**15)), (400, system_robot(level="user")),
    (400, system_robot(level="")), (400, system_robot(permissions=[])), (400, system_robot(permissions=None)),
    (400, system_robot("ci", place("project", "private"))), (400, system_robot("ci", place("user", "/", "log:list"))),
    (400, system_robot("ci", place("system", "/", "repository:pull"))),
    (400, system_robot("ci", place("project", "private", "catalog:read"))),
    (400, system_robot("ci", place("project", "private", "*:*"))),
    (400, system_robot("ci", place("project", "private", "repository:*"))),
    (400, system_robot("ci", place("project", "private", "robot:update"))),
    (400, system_robot("ci", place("system", "private", "catalog:read"))),
    (400, project_robot("ci", "*")), (404, project_robot("ci", "missing")),
    (404, system_robot("ci", place("project", "missing", "log:list"))),
    (400, project_robot(permissions=[place("system", "/", "catalog:read")])),
    (400, project_robot(permissions=[place("project", "private", "log:list"), place("project", "public", "log:list")])),
    (400, project_robot(permissions=[{"kind": "project", "namespace": "private",
          "access": [{"resource": "log", "action": "list", "effect": "deny"}]}])),
    (422, system_robot(name=1)), (422, system_robot(duration="30")), (422, system_robot(disable="no")),
    (422, system_robot(permissions="all")), (422, system_robot(permissions=[{"access": [{"resource": "log"}]}])),
    (422, []), (422, system_robot("a\0b")), (422, system_robot(description="x" * 10_001)),
    (422, system_robot(duration=2**63)),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), BAD_BODIES)
def test_bad_bodies(api: Call, projects: dict[str, int], status: int, body: Any) -> None:
    response = api("POST", "/robots", body, user="root")
    assert response.status_code == status, response.content
    assert response.json()["errors"][0]["message"]
    assert everything() == [[], [], [], []]


def test_more_places_than_a_robot_may_have(api: Call, projects: dict[str, int]) -> None:
    body = system_robot("ci", *(place("project", f"p{number}", "log:list") for number in range(1001)))
    assert api("POST", "/robots", body, user="root").status_code == 400


@pytest.mark.parametrize(
    ("user", "body", "status"),
    [
        ("", project_robot(), 401), ("", system_robot(), 401), ("stranger", project_robot(), 403),
        ("stranger", project_robot("ci", "missing"), 403), ("guest", project_robot(), 403),
        ("owner", system_robot(), 403), ("owner", project_robot("ci", "missing"), 403),
        ("guest", project_robot("ci", "public"), 403),
    ],
)  # fmt: skip
def test_who_may_not_create(api: Call, projects: dict[str, int], user: str, body: Any, status: int) -> None:
    response = api("POST", "/robots", body, user=user)
    assert response.status_code == status
    assert everything() == [[], [], [], []]


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.MAINTAINER, True), (Role.DEVELOPER, True), (Role.GUEST, True), (Role.LIMITED_GUEST, False)],
)
def test_members_see_robots_and_change_none(
    api: Call, make_robot: MakeRobot, projects: dict[str, int], users: dict[str, int], role: Role, sees: bool
) -> None:
    made = make_robot(project_robot())
    ProjectMember.objects.filter(user_id=users["guest"]).update(role=role)
    before = everything()
    path, refused = f"/robots/{made['id']}", 403 if sees else 404
    assert api("GET", path, user="guest").status_code == (200 if sees else 404)
    listed = api("GET", f"/robots?q=Level=project,ProjectID={projects['private']}", user="guest")
    assert listed.status_code == (200 if sees else 403)
    assert _changes(api, made, "guest") == [refused] * 6
    assert api("POST", "/robots", project_robot("other"), user="guest").status_code == 403
    assert everything() == before


@pytest.mark.parametrize(("user", "status"), [("stranger", 404), ("", 401)])
def test_strangers(api: Call, make_robot: MakeRobot, user: str, status: int) -> None:
    for made in (make_robot(project_robot()), make_robot(system_robot())):
        before = everything()
        assert api("GET", f"/robots/{made['id']}", user=user).status_code == status
        assert api("GET", f"/haven/robots/{made['id']}/secrets", user=user).status_code == status
        assert _changes(api, made, user) == [status] * 6
        hidden, missing = api("GET", f"/robots/{made['id']}", user=user), api("GET", "/robots/123456", user=user)
        assert hidden.content.replace(str(made["id"]).encode(), b"N") == missing.content.replace(b"123456", b"N")
        assert everything() == before


def test_an_admin_of_one_project_has_no_hand_in_another(
    api: Call, make_robot: MakeRobot, users: dict[str, int], projects: dict[str, int]
) -> None:
    create_project(name="theirs", owner_id=users["stranger"])
    made, of_system = make_robot(project_robot()), make_robot(system_robot())
    before = everything()
    assert _changes(api, made, "stranger") == _changes(api, of_system, "stranger") == [404] * 6
    assert _changes(api, of_system, "owner") == [404] * 6
    assert everything() == before


@pytest.mark.parametrize(
    "query",
    ["Level=user", "Level=project", "Level=project,ProjectID=x", "Level=project,ProjectID=-1", "Level", "name="],
)
def test_bad_lists(api: Call, projects: dict[str, int], query: str) -> None:
    assert api("GET", f"/robots?q={query}", user="root").status_code == 400


def test_lists_of_others(api: Call, projects: dict[str, int]) -> None:
    private = f"/robots?q=Level=project,ProjectID={projects['private']}"
    nowhere = "/robots?q=Level=project,ProjectID=123456"
    for user, paths, status in (
        ("", ["/robots", private, nowhere], 401), ("stranger", ["/robots", private, nowhere], 403),
        ("owner", ["/robots", nowhere], 403), ("root", [nowhere], 404),
    ):  # fmt: skip
        assert [api("GET", path, user=user).status_code for path in paths] == [status] * len(paths)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": "robot$private+other"}, 400), ({"name": "ci"}, 400), ({"level": "system"}, 400),
        ({"permissions": [place("project", "public", "log:list")]}, 400), ({"permissions": []}, 400),
        ({"permissions": [place("project", "missing", "log:list")]}, 404), ({"duration": 0}, 400),
        ({"permissions": [place("project", "private", "robot:update")]}, 400), ({"disable": 1}, 422),
    ],
)  # fmt: skip
def test_bad_updates(api: Call, make_robot: MakeRobot, change: dict[str, Any], status: int) -> None:
    made = make_robot(project_robot())
    before = everything()
    body = {**project_robot(name=made["name"]), **change}
    assert api("PUT", f"/robots/{made['id']}", body, user="root").status_code == status
    assert everything() == before


@pytest.mark.parametrize("secret", ["short1A", "alllowercase1", "ALLUPPERCASE1", "NoDigitsHere", "Aa1" * 43])
def test_bad_secrets(api: Call, make_robot: MakeRobot, secret: str) -> None:
    made = make_robot(project_robot())
    before = everything()
    assert api("PATCH", f"/robots/{made['id']}", {"secret": secret}, user="root").status_code == 400
    assert everything() == before


def _changes(api: Call, made: dict[str, Any], user: str) -> list[int]:
    """The statuses of every way to change a robot."""
    secrets = f"/haven/robots/{made['id']}/secrets"
    secret_id = RobotSecret.objects.get(robot_id=made["id"]).pk
    return [
        api("PUT", f"/robots/{made['id']}", project_robot(name=made["name"]), user=user).status_code,
        api("PATCH", f"/robots/{made['id']}", {}, user=user).status_code,
        api("PATCH", f"/robots/{made['id']}", {"secret": "My0wnSecret"}, user=user).status_code,
        api("DELETE", f"/robots/{made['id']}", user=user).status_code,
        api("POST", secrets, {"overlap_hours": 1}, user=user).status_code,
        api("DELETE", f"{secrets}/{secret_id}", user=user).status_code,
    ]
