"""Projects."""

from django.http import HttpResponse

from tests.contract.world import World, example


@example("listProjects")
def listed(world: World) -> HttpResponse:
    return world.call("listProjects", user="guest", query={"page_size": 1})


@example("listProjects")
def listed_for_nobody(world: World) -> HttpResponse:
    return world.call("listProjects")


@example("headProject")
def exists(world: World) -> HttpResponse:
    return world.call("headProject", user="stranger", query={"project_name": "private"})


@example("createProject")
def created(world: World) -> HttpResponse:
    body = {"project_name": "new", "metadata": {"public": "true", "auto_scan": "true"}, "storage_limit": -1}
    return world.call("createProject", body, user="root")


@example("getProject")
def one(world: World) -> HttpResponse:
    return world.call("getProject", project_name_or_id="private", user="guest")


@example("getProject")
def one_by_id(world: World) -> HttpResponse:
    return world.call("getProject", project_name_or_id=world.projects["public"])


@example("deleteProject")
def deleted(world: World) -> HttpResponse:
    return world.call("deleteProject", project_name_or_id="private", user="owner")
