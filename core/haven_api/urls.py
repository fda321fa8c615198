"""Paths of the REST API, under /api."""

from django.urls import path, re_path, register_converter

from haven_api.converters import RepositoryName
from haven_api.errors import unknown_path
from haven_api.views import groups, members, projects, roles, system, users

register_converter(RepositoryName, "repository")

urlpatterns = [
    path("version", system.Version.as_view()),
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/systeminfo", system.SystemInfo.as_view()),
    path("v2.0/haven/roles", roles.Roles.as_view()),
    path("v2.0/haven/roles/<str:role_id>", roles.OneRole.as_view()),
    path("v2.0/haven/usergroups/<str:group_id>/members", groups.GroupPeople.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/projects/<str:name_or_id>/members", members.Members.as_view()),
    path("v2.0/projects/<str:name_or_id>/members/<str:member_id>", members.OneMember.as_view()),
    path("v2.0/usergroups", groups.UserGroups.as_view()),
    path("v2.0/usergroups/search", groups.UserGroupSearch.as_view()),
    path("v2.0/usergroups/<str:group_id>", groups.OneUserGroup.as_view()),
    path("v2.0/users", users.Users.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/users/current/permissions", users.CurrentPermissions.as_view()),
    path("v2.0/users/search", users.UserSearch.as_view()),
    path("v2.0/users/<str:user_id>", users.OneUser.as_view()),
    path("v2.0/users/<str:user_id>/cli_secret", users.UserCliSecret.as_view()),
    path("v2.0/users/<str:user_id>/password", users.UserPassword.as_view()),
    path("v2.0/users/<str:user_id>/sysadmin", users.UserSysadmin.as_view()),
    re_path(r"", unknown_path),
]
