"""Users, members, groups."""

from django.http import HttpResponse

from tests.contract.world import World, example

_NEW = {"username": "ann", "realname": "Ann", "email": "ann@example.com", "password": "Another1horse"}
_GROUP = {"group_name": "team", "group_type": 3}


@example("listUsers")
def users(world: World) -> HttpResponse:
    return world.call("listUsers", user="root", query={"page_size": 2, "sort": "-username"})


@example("createUser")
def user_created(world: World) -> HttpResponse:
    return world.call("createUser", {**_NEW, "comment": "new"}, user="root")


@example("getCurrentUserInfo")
def oneself(world: World) -> HttpResponse:
    return world.call("getCurrentUserInfo", user="owner")


@example("getCurrentUserPermissions")
def what_one_may(world: World) -> HttpResponse:
    query = {"scope": f"/project/{world.projects['private']}", "relative": "true"}
    return world.call("getCurrentUserPermissions", user="guest", query=query)


@example("searchUsers")
def users_found(world: World) -> HttpResponse:
    return world.call("searchUsers", user="stranger", query={"username": "own"})


@example("getUser")
def user(world: World) -> HttpResponse:
    return world.call("getUser", user_id=world.users["owner"], user="owner")


@example("updateUserProfile")
def user_updated(world: World) -> HttpResponse:
    profile = {"realname": "Owner", "email": "owner@example.com", "comment": ""}
    return world.call("updateUserProfile", profile, user_id=world.users["owner"], user="owner")


@example("setUserSysAdmin")
def user_raised(world: World) -> HttpResponse:
    return world.call("setUserSysAdmin", {"sysadmin_flag": True}, user_id=world.users["owner"], user="root")


@example("updateUserPassword")
def password_changed(world: World) -> HttpResponse:
    return world.call(
        "updateUserPassword", {"new_password": "Another1horse"}, user_id=world.users["owner"], user="root"
    )


@example("deleteUser")
def user_deleted(world: World) -> HttpResponse:
    return world.call("deleteUser", user_id=world.users["stranger"], user="root")


@example("listProjectMembers")
def members(world: World) -> HttpResponse:
    return world.call("listProjectMembers", project_name_or_id="private", user="guest", query={"entityname": "o"})


@example("createProjectMember")
def member_added(world: World) -> HttpResponse:
    body = {"role_id": 2, "member_user": {"username": "stranger"}}
    return world.call("createProjectMember", body, project_name_or_id="private", user="owner")


@example("getProjectMember")
def member(world: World) -> HttpResponse:
    return world.call("getProjectMember", project_name_or_id="private", mid=_member(world), user="owner")


@example("updateProjectMember")
def member_updated(world: World) -> HttpResponse:
    body, mid = {"role_id": 4}, _member(world)
    return world.call("updateProjectMember", body, project_name_or_id="private", mid=mid, user="owner")


@example("deleteProjectMember")
def member_removed(world: World) -> HttpResponse:
    return world.call("deleteProjectMember", project_name_or_id="private", mid=_member(world), user="owner")


@example("listUserGroups")
def groups(world: World) -> HttpResponse:
    world.create("createUserGroup", _GROUP)
    return world.call("listUserGroups", user="root", query={"group_name": "te"})


@example("createUserGroup")
def group_created(world: World) -> HttpResponse:
    return world.call("createUserGroup", _GROUP, user="root")


@example("searchUserGroups")
def groups_found(world: World) -> HttpResponse:
    world.create("createUserGroup", _GROUP)
    return world.call("searchUserGroups", user="stranger", query={"groupname": "te"})


@example("getUserGroup")
def group(world: World) -> HttpResponse:
    return world.call("getUserGroup", group_id=world.create("createUserGroup", _GROUP), user="root")


@example("updateUserGroup")
def group_renamed(world: World) -> HttpResponse:
    group_id = world.create("createUserGroup", _GROUP)
    return world.call("updateUserGroup", {"group_name": "crew"}, group_id=group_id, user="root")


@example("deleteUserGroup")
def group_deleted(world: World) -> HttpResponse:
    return world.call("deleteUserGroup", group_id=world.create("createUserGroup", _GROUP), user="root")


def _member(world: World) -> str:
    body = {"role_id": 2, "member_user": {"username": "stranger"}}
    return world.create("createProjectMember", body, user="owner", project_name_or_id="private")
