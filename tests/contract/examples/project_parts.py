"""What lies below a project: its metadata, its logs, whether it can go."""

from django.http import HttpResponse

from tests.contract.world import World, example


@example("getProjectDeletable")
def can_go(world: World) -> HttpResponse:
    return world.call("getProjectDeletable", project_name_or_id="private", user="owner")


@example("listProjectMetadatas")
def all_metadata(world: World) -> HttpResponse:
    return world.call("listProjectMetadatas", project_name_or_id="private", user="root")


@example("addProjectMetadatas")
def one_more(world: World) -> HttpResponse:
    return world.call("addProjectMetadatas", {"auto_scan": "true"}, project_name_or_id="private", user="owner")


@example("getProjectMetadata")
def one(world: World) -> HttpResponse:
    return world.call("getProjectMetadata", project_name_or_id="private", meta_name="public", user="owner")


@example("updateProjectMetadata")
def another_value(world: World) -> HttpResponse:
    path = {"project_name_or_id": "private", "meta_name": "public"}
    return world.call("updateProjectMetadata", {"public": "true"}, user="owner", **path)


@example("deleteProjectMetadata")
def back_to_the_default(world: World) -> HttpResponse:
    return world.call("deleteProjectMetadata", project_name_or_id="private", meta_name="public", user="owner")


@example("getLogs")
def logs(world: World) -> HttpResponse:
    return world.call("getLogs", project_name="private", user="owner")


@example("getLogExts")
def logs_of_any_kind(world: World) -> HttpResponse:
    return world.call("getLogExts", project_name="private", user="owner")
