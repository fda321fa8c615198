"""/robots: create, read, list, update, refresh, delete, as Harbor's clients use them."""

from typing import Any

import pytest

from haven_core.accounts import passwords
from haven_core.models import OutboxEvent, Robot, RobotPermission, RobotSecret
from tests.api.conftest import PASSWORD
from tests.api.robots.conftest import Call, Clock, MakeRobot, access, place, project_robot, system_robot

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 24 * 3600


def test_a_project_robot(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    body = project_robot("ci", "private", "repository:push", "repository:pull", description="builds", duration=30)
    response = api("POST", "/robots", body, user="owner")
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {"id", "name", "secret", "creation_time", "expires_at"}
    assert made["name"] == "robot$private+ci"
    assert response["Location"] == f"/api/v2.0/robots/{made['id']}"
    assert response["Cache-Control"] == "no-store"
    passwords.check_rule(made["secret"])
    assert len(made["secret"]) == 32
    robot = Robot.objects.get()
    assert made["expires_at"] == int(robot.created_at.timestamp()) + 30 * DAY
    read = api("GET", f"/robots/{made['id']}", user="owner").json()
    assert read == {
        "id": made["id"], "name": "robot$private+ci", "description": "builds", "level": "project", "duration": 30,
        "editable": True, "disable": False, "expires_at": made["expires_at"], "creation_time": made["creation_time"],
        "update_time": made["creation_time"], "creator_type": "local", "creator_ref": users["owner"],
        "permissions": [place("project", "private", "repository:pull", "repository:push")],
    }  # fmt: skip


def test_a_system_robot_keeps_every_place(api: Call, make_robot: MakeRobot) -> None:
    places = [
        place("system", "/", "registry:list", "catalog:read"),
        place("project", "*", "repository:pull"),
        place("project", "private", "repository:push"),
    ]
    made = make_robot(system_robot("ci", *places, disable=True))
    assert (made["name"], made["expires_at"]) == ("robot$ci", -1)
    read = api("GET", f"/robots/{made['id']}", user="root").json()
    assert read["level"] == "system"
    assert (read["disable"], read["duration"]) == (True, -1)
    expected = [place("system", "/", "catalog:read", "registry:list"), *places[1:]]
    assert read["permissions"] == expected


def test_one_place_named_twice_is_one(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(
        system_robot("ci", place("project", "private", "tag:list"), place("project", "private", "log:list"))
    )
    read = api("GET", f"/robots/{made['id']}", user="root").json()
    assert read["permissions"] == [place("project", "private", "log:list", "tag:list")]


def test_the_secret_is_stored_as_a_hash_and_never_shown_again(
    api: Call, make_robot: MakeRobot, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = make_robot(project_robot())
    login = {"user": made["name"], "password": made["secret"]}
    answers = [
        api("GET", f"/robots/{made['id']}", user="root"),
        api("GET", "/robots?q=Level=project,ProjectID=" + str(Robot.objects.get().project_id), user="root"),
        api("GET", f"/haven/robots/{made['id']}/secrets", user="root"),
        api("GET", "/projects", **login),
        api("POST", "/robots", project_robot(), **login),
        api("GET", "/projects", user=made["name"], password=made["secret"] + "x"),
    ]
    assert all(made["secret"].encode() not in answer.content for answer in answers)
    stored = [*RobotSecret.objects.values_list("hash", flat=True), *map(str, OutboxEvent.objects.values())]
    assert stored[0].startswith("sha256$")
    assert made["secret"] not in "".join([*stored, caplog.text, *capfd.readouterr()])


def test_the_same_name_in_two_places(api: Call, make_robot: MakeRobot) -> None:
    names = [
        make_robot(body)["name"]
        for body in (project_robot("ci", "private"), project_robot("ci", "public"), system_robot("ci"))
    ]
    assert names == ["robot$private+ci", "robot$public+ci", "robot$ci"]


@pytest.mark.parametrize("body", [project_robot("ci"), system_robot("ci")])
def test_a_taken_name(api: Call, make_robot: MakeRobot, body: dict[str, Any]) -> None:
    make_robot(body)
    response = api("POST", "/robots", body, user="root")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "CONFLICT")
    assert (Robot.objects.count(), RobotSecret.objects.count(), RobotPermission.objects.count()) == (1, 1, 1)


def test_lists(api: Call, make_robot: MakeRobot, projects: dict[str, int]) -> None:
    for body in (system_robot("one"), system_robot("two"), project_robot("ci"), project_robot("cd", "public")):
        make_robot(body)

    def names(query: str, user: str = "root") -> list[str]:
        response = api("GET", f"/robots?{query}", user=user)
        assert response.status_code == 200, response.content
        found = [robot["name"] for robot in response.json()]
        assert response["X-Total-Count"] == str(len(found))
        return found

    private = f"Level=project,ProjectID={projects['private']}"
    assert names("") == names("q=Level=system") == ["robot$two", "robot$one"]
    assert names("sort=name") == ["robot$one", "robot$two"]
    assert names(f"q={private}", "owner") == names(f"q={private}", "guest") == ["robot$private+ci"]
    assert names("q=name=~w") == names("q=Name=two") == names("q=name=robot$two") == ["robot$two"]
    assert names(f"q={private},name=robot$private%252Bci") == names(f"q={private},name=ci") == ["robot$private+ci"]
    assert names(f"q={private},name=two") == []
    page = api("GET", "/robots?page_size=1&page=2", user="root")
    assert [robot["name"] for robot in page.json()] == ["robot$one"]
    assert page["X-Total-Count"] == "2"
    assert 'rel="prev"' in page["Link"]


def test_a_list_costs_the_same_with_many(
    api: Call, make_robot: MakeRobot, django_assert_num_queries: Any, projects: dict[str, int]
) -> None:
    make_robot(system_robot("r0"))
    api("GET", "/robots?page_size=100", user="root")  # the password is judged
    with django_assert_num_queries(4):  # the account, the count, the robots, their permissions
        assert len(api("GET", "/robots?page_size=100", user="root").json()) == 1
    for number in range(1, 12):
        make_robot(
            system_robot(f"r{number}", place("project", "private", "log:list"), place("project", "public", "log:list"))
        )
    with django_assert_num_queries(4):
        assert len(api("GET", "/robots?page_size=100", user="root").json()) == 12


def test_update(api: Call, make_robot: MakeRobot, clock: Clock) -> None:
    made = make_robot(project_robot(duration=30))
    created = Robot.objects.get().created_at
    clock.advance(days=2)
    body = project_robot(made["name"], "private", "log:list", description="new", duration=10, disable=True)
    assert api("PUT", f"/robots/{made['id']}", body, user="owner").status_code == 200
    read = api("GET", f"/robots/{made['id']}", user="owner").json()
    assert read["permissions"] == [place("project", "private", "log:list")]
    assert (read["description"], read["disable"], read["duration"]) == ("new", True, 10)
    assert read["expires_at"] == int(created.timestamp()) + 10 * DAY
    assert read["creation_time"] == made["creation_time"] < read["update_time"]


def test_what_get_answers_can_be_put_back(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(system_robot("ci", place("system", "/", "catalog:read"), place("project", "*", "log:list")))
    read = api("GET", f"/robots/{made['id']}", user="root").json()
    assert api("PUT", f"/robots/{made['id']}", read, user="root").status_code == 200
    again = api("GET", f"/robots/{made['id']}", user="root").json()
    assert again | {"update_time": ""} == read | {"update_time": ""}
    assert api("GET", "/projects", user=made["name"], password=made["secret"]).status_code == 200


def test_update_without_duration_leaves_it(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot(duration=30))
    body = project_robot(name=made["name"], duration=None)
    assert api("PUT", f"/robots/{made['id']}", body, user="owner").status_code == 200
    assert api("GET", f"/robots/{made['id']}", user="owner").json()["expires_at"] == made["expires_at"]


def test_refresh_ends_the_old_secret(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    response = api("PATCH", f"/robots/{made['id']}", {"secret": ""}, user="owner")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    fresh = response.json()["secret"]
    passwords.check_rule(fresh)
    assert _may_read(api, made["name"], fresh)
    assert not _may_read(api, made["name"], made["secret"])


def test_a_chosen_secret_is_hashed_like_a_password(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot())
    response = api("PATCH", f"/robots/{made['id']}", {"secret": "My0wnSecret"}, user="owner")
    assert (response.status_code, response.json()) == (200, {"secret": ""})
    assert RobotSecret.objects.get().hash.startswith("pbkdf2_sha256$")
    assert _may_read(api, made["name"], "My0wnSecret")
    assert not _may_read(api, made["name"], "My0wnSecreT")
    assert not _may_read(api, made["name"], made["secret"])


def test_delete(api: Call, make_robot: MakeRobot) -> None:
    made, other = make_robot(project_robot()), make_robot(project_robot("other"))
    assert _may_read(api, made["name"], made["secret"])
    assert api("DELETE", f"/robots/{made['id']}", user="owner").status_code == 200
    assert api("GET", f"/robots/{made['id']}", user="owner").status_code == 404
    assert not _may_read(api, made["name"], made["secret"])
    assert [Robot.objects.get().pk, RobotSecret.objects.get().robot_id] == [other["id"]] * 2
    assert make_robot(project_robot())["id"] != made["id"]


def test_a_project_takes_its_robots_along(api: Call, make_robot: MakeRobot, projects: dict[str, int]) -> None:
    made = make_robot(project_robot("ci", "public"))
    elsewhere = make_robot(
        system_robot("ci", place("project", "public", "log:list"), place("project", "private", "log:list"))
    )
    assert api("DELETE", "/projects/public", user="owner").status_code == 200
    assert api("GET", f"/robots/{made['id']}", user="root").status_code == 404
    assert api("POST", "/projects", {"project_name": "public"}, user="stranger").status_code == 201
    assert not _may_read(api, made["name"], made["secret"])
    read = api("GET", f"/robots/{elsewhere['id']}", user="root").json()
    assert read["permissions"] == [place("project", "private", "log:list")]


def test_permissions(api: Call, projects: dict[str, int]) -> None:
    both, own = api("GET", "/permissions", user="root").json(), api("GET", "/permissions", user="owner").json()
    assert (len(both["system"]), len(both["project"])) == (70, 70)
    assert own == {"project": both["project"]}
    assert access("repository:push")[0] in both["project"]
    assert access("robot:update")[0] not in both["project"] + both["system"]
    assert access("catalog:read")[0] in both["system"]
    for user, status in (("guest", 403), ("stranger", 403), ("", 401)):
        assert api("GET", "/permissions", user=user).status_code == status


def test_events_say_who(api: Call, make_robot: MakeRobot) -> None:
    made = make_robot(project_robot(), user="owner")
    api("PATCH", f"/robots/{made['id']}", {}, user="owner")
    api("PUT", f"/robots/{made['id']}", project_robot(name=made["name"], disable=True), user="owner")
    api("DELETE", f"/robots/{made['id']}", user="root", password=PASSWORD)
    events = OutboxEvent.objects.filter(topic__startswith="robot.").order_by("id")
    assert [(event.topic, event.payload["by"]) for event in events] == [
        ("robot.created", "owner"), ("robot.secret_replaced", "owner"), ("robot.updated", "owner"),
        ("robot.deleted", "root"),
    ]  # fmt: skip


def _may_read(api: Call, name: str, secret: str) -> bool:
    """Whether the credentials are taken: nobody gets 401 from a private project."""
    status = api("GET", "/robots/999999", user=name, password=secret).status_code
    assert status in (401, 404)
    return status == 404
