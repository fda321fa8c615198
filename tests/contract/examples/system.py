"""What answers without a project."""

from django.http import HttpResponse

from haven_core import checks
from tests.contract.world import World, example


@example("getPing")
def ping(world: World) -> HttpResponse:
    return world.call("getPing")


@example("getHealth")
def health(world: World) -> HttpResponse:
    checks.register_own_checks()
    return world.call("getHealth")


@example("getSystemInfo")
def system_info(world: World) -> HttpResponse:
    return world.call("getSystemInfo")


@example("getSystemInfo")
def system_info_after_login(world: World) -> HttpResponse:
    return world.call("getSystemInfo", user="stranger")


@example("getCurrentUserInfo")
def current_user(world: World) -> HttpResponse:
    return world.call("getCurrentUserInfo", user="owner")
