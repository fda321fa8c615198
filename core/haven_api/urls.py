"""Paths of the REST API, under /api."""

from django.urls import path, re_path

from haven_api.errors import unknown_path
from haven_api.views import immutability, projects, retention, system, users

urlpatterns = [
    path("version", system.Version.as_view()),
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/systeminfo", system.SystemInfo.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/projects/<str:name_or_id>/immutabletagrules", immutability.ImmutableRules.as_view()),
    path("v2.0/projects/<str:name_or_id>/immutabletagrules/<int:rule_id>", immutability.OneImmutableRule.as_view()),
    path("v2.0/haven/retentions/preview", retention.RetentionPreview.as_view()),
    path("v2.0/retentions", retention.Retentions.as_view()),
    path("v2.0/retentions/metadatas", retention.RetentionMetadata.as_view()),
    path("v2.0/retentions/<int:policy_id>", retention.OneRetention.as_view()),
    path("v2.0/retentions/<int:policy_id>/executions", retention.RetentionExecutions.as_view()),
    path("v2.0/retentions/<int:policy_id>/executions/<int:execution_id>", retention.OneRetentionExecution.as_view()),
    path("v2.0/retentions/<int:policy_id>/executions/<int:execution_id>/tasks", retention.RetentionTasks.as_view()),
    path(
        "v2.0/retentions/<int:policy_id>/executions/<int:execution_id>/tasks/<int:task_id>",
        retention.RetentionTaskLog.as_view(),
    ),
    re_path(r"", unknown_path),
]
