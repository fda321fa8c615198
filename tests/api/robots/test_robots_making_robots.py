"""A robot that may create robots passes on no more than it has, and sees only what it may."""

from typing import Any

import pytest

from haven_core.models import Robot
from tests.api.robots.conftest import Call, MakeRobot, place, project_robot, system_robot

pytestmark = pytest.mark.django_db(transaction=True)

MAKER = ("robot:create", "robot:read", "robot:list", "robot:delete", "repository:push")


@pytest.fixture
def of_project(make_robot: MakeRobot) -> dict[str, str]:
    """Credentials of a robot of `private` that makes robots."""
    made = make_robot(project_robot("maker", "private", *MAKER))
    return {"user": made["name"], "password": made["secret"]}


@pytest.fixture
def of_system(make_robot: MakeRobot) -> dict[str, str]:
    """Credentials of a system robot that makes robots there and in `private`, and may pull everywhere."""
    made = make_robot(
        system_robot(
            "maker",
            place("system", "/", "robot:create", "robot:list", "catalog:read"),
            place("project", "*", "repository:pull"),
            place("project", "private", "robot:create", "log:list"),
        )
    )
    return {"user": made["name"], "password": made["secret"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (project_robot("a", "private", "repository:push"), 201), (project_robot("a", "private", "repository:pull"), 201),
        (project_robot("a", "private", "robot:create", "robot:list"), 201),
        (project_robot("a", "private", "log:list"), 403), (project_robot("a", "private", "repository:push", "log:list"), 403),
        (project_robot("a", "public", "repository:pull"), 403), (project_robot("a", "missing", "repository:pull"), 403),
        (system_robot("a", place("project", "private", "repository:pull")), 403),
    ],
)  # fmt: skip
def test_a_robot_of_a_project(api: Call, of_project: dict[str, str], body: dict[str, Any], status: int) -> None:
    response = api("POST", "/robots", body, **of_project)
    assert response.status_code == status, response.content
    assert Robot.objects.count() == (2 if status == 201 else 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (system_robot("a", place("project", "*", "repository:pull")), 201),
        (system_robot("a", place("project", "public", "repository:pull"), place("system", "/", "catalog:read")), 201),
        (project_robot("a", "private", "log:list", "repository:pull"), 201),
        (system_robot("a", place("project", "*", "log:list")), 403),
        (system_robot("a", place("project", "public", "log:list")), 403),
        (system_robot("a", place("system", "/", "registry:list")), 403),
        (project_robot("a", "private", "repository:push"), 403),
        (project_robot("a", "public", "repository:pull"), 403),
    ],
)  # fmt: skip
def test_a_robot_of_the_system(api: Call, of_system: dict[str, str], body: dict[str, Any], status: int) -> None:
    response = api("POST", "/robots", body, **of_system)
    assert response.status_code == status, response.content
    assert Robot.objects.count() == (2 if status == 201 else 1)
    if status == 403:
        assert response.json()["errors"][0]["code"] in ("DENIED", "FORBIDDEN")


def test_the_creator_is_told(api: Call, of_project: dict[str, str]) -> None:
    made = api("POST", "/robots", project_robot(), **of_project).json()
    read = api("GET", f"/robots/{made['id']}", **of_project).json()
    assert (read["creator_type"], read["creator_ref"]) == ("robot", Robot.objects.get(name="maker").pk)


def test_what_a_robot_sees_and_removes(
    api: Call, make_robot: MakeRobot, of_project: dict[str, str], projects: dict[str, int]
) -> None:
    mine, theirs, system = (
        make_robot(body) for body in (project_robot(), project_robot("ci", "public"), system_robot())
    )
    listed = api("GET", f"/robots?q=Level=project,ProjectID={projects['private']}", **of_project).json()
    assert [robot["name"] for robot in listed] == ["robot$private+ci", "robot$private+maker"]
    for hidden in (theirs, system):
        assert api("GET", f"/robots/{hidden['id']}", **of_project).status_code == 404
        assert api("DELETE", f"/robots/{hidden['id']}", **of_project).status_code == 404
    assert api("GET", f"/robots?q=Level=project,ProjectID={projects['public']}", **of_project).status_code == 403
    assert api("PATCH", f"/robots/{mine['id']}", {}, **of_project).status_code == 403  # nobody can give robot:update
    assert api("DELETE", f"/robots/{mine['id']}", **of_project).status_code == 200
    assert Robot.objects.count() == 3
