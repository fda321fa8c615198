"""Robots, and what they can be given."""

from django.http import HttpResponse

from tests.contract.world import World, example

_PLACE = {"kind": "project", "namespace": "private", "access": [{"resource": "repository", "action": "pull"}]}
_BODY = {"name": "ci", "level": "project", "duration": 30, "description": "builds", "permissions": [_PLACE]}


@example("CreateRobot")
def a_robot(world: World) -> HttpResponse:
    return world.call("CreateRobot", _BODY, user="owner")


@example("ListRobot")
def those_of_a_project(world: World) -> HttpResponse:
    world.create("CreateRobot", _BODY)
    query = {"q": f"Level=project,ProjectID={world.projects['private']}"}
    return world.call("ListRobot", query=query, user="owner")


@example("GetRobotByID")
def one_robot(world: World) -> HttpResponse:
    return world.call("GetRobotByID", robot_id=world.create("CreateRobot", _BODY), user="owner")


@example("UpdateRobot")
def a_disabled_robot(world: World) -> HttpResponse:
    robot_id = world.create("CreateRobot", _BODY)
    body = _BODY | {"name": "robot$private+ci", "disable": True}
    return world.call("UpdateRobot", body, robot_id=robot_id, user="owner")


@example("RefreshSec")
def a_new_secret(world: World) -> HttpResponse:
    return world.call("RefreshSec", {"secret": ""}, robot_id=world.create("CreateRobot", _BODY), user="owner")


@example("DeleteRobot")
def no_robot_any_more(world: World) -> HttpResponse:
    return world.call("DeleteRobot", robot_id=world.create("CreateRobot", _BODY), user="owner")


@example("getPermissions")
def what_there_is_to_give(world: World) -> HttpResponse:
    return world.call("getPermissions", user="root")
