"""Paths of the REST API, under /api."""

from django.urls import path, re_path, register_converter

from haven_api.converters import RepositoryName, RowId
from haven_api.errors import unknown_path
from haven_api.views import (
    artifact_parts,
    artifacts,
    audit,
    configurations,
    cve_allowlist,
    labels,
    openapi,
    project_metadata,
    project_summary,
    projects,
    quotas,
    repositories,
    statistics,
    system,
    users,
)

register_converter(RepositoryName, "repository")
register_converter(RowId, "id")

_REPOSITORY = "projects/<str:project_name>/repositories/<repository:repository_name>"
_ARTIFACT = f"{_REPOSITORY}/artifacts/<str:reference>"

urlpatterns = [
    path("version", system.Version.as_view()),
    path("v2.0/ping", system.Ping.as_view()),
    path("v2.0/health", system.Health.as_view()),
    path("v2.0/openapi.json", openapi.OpenApi.as_view()),
    path("v2.0/reference", openapi.Reference.as_view()),
    path("v2.0/systeminfo", system.SystemInfo.as_view()),
    path("v2.0/systeminfo/getcert", system.Certificate.as_view()),
    path("v2.0/systeminfo/volumes", system.Volumes.as_view()),
    path("v2.0/audit-logs", audit.AuditLogs.as_view()),
    path("v2.0/auditlog-exts", audit.AuditLogExtensions.as_view()),
    path("v2.0/auditlog-exts/events", audit.AuditEventTypes.as_view()),
    path("v2.0/configurations", configurations.Configurations.as_view()),
    path("v2.0/labels", labels.Labels.as_view()),
    path("v2.0/labels/<id:label_id>", labels.OneLabel.as_view()),
    path("v2.0/quotas", quotas.Quotas.as_view()),
    path("v2.0/quotas/<id:quota_id>", quotas.OneQuota.as_view()),
    path("v2.0/repositories", repositories.AllRepositories.as_view()),
    path("v2.0/search", statistics.Search.as_view()),
    path("v2.0/statistics", statistics.Statistics.as_view()),
    path("v2.0/system/CVEAllowlist", cve_allowlist.SystemCveAllowlist.as_view()),
    path("v2.0/users/current", users.CurrentUser.as_view()),
    path("v2.0/projects", projects.Projects.as_view()),
    path("v2.0/projects/<str:name_or_id>", projects.OneProject.as_view()),
    path("v2.0/projects/<str:name_or_id>/_deletable", project_summary.ProjectDeletable.as_view()),
    path("v2.0/projects/<str:name_or_id>/metadatas/", project_metadata.ProjectMetadata.as_view()),
    path("v2.0/projects/<str:name_or_id>/metadatas/<str:key>", project_metadata.OneProjectMetadata.as_view()),
    path("v2.0/projects/<str:name_or_id>/summary", project_summary.ProjectSummary.as_view()),
    path("v2.0/projects/<str:project_name>/auditlog-exts", audit.ProjectLogExtensions.as_view()),
    path("v2.0/projects/<str:project_name>/logs", audit.ProjectLogs.as_view()),
    path("v2.0/projects/<str:project_name>/repositories", repositories.Repositories.as_view()),
    path(f"v2.0/{_REPOSITORY}", repositories.OneRepository.as_view()),
    path(f"v2.0/{_REPOSITORY}/artifacts", artifacts.Artifacts.as_view()),
    path(f"v2.0/{_ARTIFACT}", artifacts.OneArtifact.as_view()),
    path(f"v2.0/{_ARTIFACT}/accessories", artifact_parts.Accessories.as_view()),
    path(f"v2.0/{_ARTIFACT}/additions/<str:addition>", artifact_parts.Addition.as_view()),
    path(f"v2.0/{_ARTIFACT}/labels", artifact_parts.ArtifactLabels.as_view()),
    path(f"v2.0/{_ARTIFACT}/labels/<id:label_id>", artifact_parts.OneArtifactLabel.as_view()),
    path(f"v2.0/{_ARTIFACT}/layers", artifact_parts.Layers.as_view()),
    path(f"v2.0/{_ARTIFACT}/tags", artifact_parts.Tags.as_view()),
    path(f"v2.0/{_ARTIFACT}/tags/<str:tag_name>", artifact_parts.OneTag.as_view()),
    re_path(r"", unknown_path),
]
