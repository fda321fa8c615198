"""Paths of the REST API, under /api."""

from django.urls import path, re_path

from haven_api.errors import unknown_path
from haven_api.views import projects, robots, system, users

urlpatterns = [
    path("version", system.Version.as_view()),
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/systeminfo", system.SystemInfo.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/robots", robots.Robots.as_view()),
    path("v2.0/robots/<int:robot_id>", robots.OneRobot.as_view()),
    path("v2.0/permissions", robots.Permissions.as_view()),
    path("v2.0/haven/robots/<int:robot_id>/secrets", robots.RobotSecrets.as_view()),
    path("v2.0/haven/robots/<int:robot_id>/secrets/<int:secret_id>", robots.OneRobotSecret.as_view()),
    re_path(r"", unknown_path),
]
