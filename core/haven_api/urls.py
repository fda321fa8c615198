"""Paths of the REST API, under /api."""

from django.urls import path, re_path, register_converter

from haven_api.converters import RepositoryName
from haven_api.errors import unknown_path
from haven_api.views import openapi, projects, system, users

register_converter(RepositoryName, "repository")

urlpatterns = [
    path("version", system.Version.as_view()),
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/openapi.json", openapi.OpenApi.as_view()),
    path("v2.0/reference", openapi.Reference.as_view()),
    path("v2.0/systeminfo", system.SystemInfo.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    re_path(r"", unknown_path),
]
