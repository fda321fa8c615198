"""Who manages robots by a custom role gives no robot, and takes from none, more than they have themselves."""

from typing import Any

import pytest

from haven_core.models import Robot, RobotPermission, RobotSecret
from tests.api.robots.conftest import Call, MakeRobot, access, project_robot
from tests.api.test_projects_api import assert_error

pytestmark = pytest.mark.django_db(transaction=True)

KEEPER = ("robot:create", "robot:read", "robot:list", "robot:update", "robot:delete", "repository:pull")


@pytest.fixture
def keeper(api: Call, projects: dict[str, int]) -> str:
    """`stranger` manages the robots of `private`, and may pull there."""
    body = {"name": "keeper", "permissions": access(*KEEPER)}
    role = int(api("POST", "/haven/roles", body, user="root")["Location"].rpartition("/")[2])
    member = {"role_id": role, "member_user": {"username": "stranger"}}
    assert api("POST", "/projects/private/members", member, user="owner").status_code == 201
    return "stranger"


def stored() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Robot, RobotPermission, RobotSecret)]


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        (("repository:pull",), 201), (("repository:pull", "robot:read"), 201), (("repository:push",), 403),
        (("repository:pull", "member:create"), 403), (("project:delete",), 403), (("metadata:list",), 201),
    ],
)  # fmt: skip
def test_making_one(api: Call, keeper: str, permissions: tuple[str, ...], status: int) -> None:
    before = stored()
    response = api("POST", "/robots", project_robot("ci", "private", *permissions), user=keeper)
    assert response.status_code == status, response.content
    if status == 403:
        assert_error(response, 403, "DENIED")
        assert stored() == before


def test_what_is_public_counts(api: Call, keeper: str) -> None:
    body = project_robot("ci", "private", "tag:list")
    assert_error(api("POST", "/robots", body, user=keeper), 403, "DENIED")
    assert api("PUT", "/projects/private", {"metadata": {"public": "true"}}, user="owner").status_code == 200
    assert api("POST", "/robots", body, user=keeper).status_code == 201


def test_a_robot_that_may_more_is_not_taken_over(api: Call, keeper: str, make_robot: MakeRobot) -> None:
    """Whoever learns its secret may what it may."""
    made = make_robot(project_robot("strong", "private", "repository:push"), user="owner")
    path, before = f"/robots/{made['id']}", stored()
    assert_error(api("PATCH", path, {}, user=keeper), 403, "DENIED")
    assert_error(api("PATCH", path, {"secret": "Another1horse"}, user=keeper), 403, "DENIED")
    assert_error(api("POST", f"/haven{path}/secrets", {"overlap_hours": 1}, user=keeper), 403, "DENIED")
    kept = {**project_robot("strong", "private", "repository:push", description="x"), "name": made["name"]}
    assert_error(api("PUT", path, kept, user=keeper), 403, "DENIED")
    assert stored() == before
    weaker = {**project_robot("strong", "private", "repository:pull"), "name": made["name"]}
    assert api("PUT", path, weaker, user=keeper).status_code == 200
    assert api("PATCH", path, {}, user=keeper).status_code == 200
    assert api("DELETE", path, user=keeper).status_code == 200


def test_a_project_admin_gives_all_there_is(api: Call, projects: dict[str, int]) -> None:
    every = api("GET", "/permissions", user="owner").json()["project"]
    body = project_robot("all", "private")
    body["permissions"][0]["access"] = every
    made = api("POST", "/robots", body, user="owner")
    assert made.status_code == 201, made.content
    assert api("PATCH", f"/robots/{made.json()['id']}", {}, user="owner").status_code == 200
