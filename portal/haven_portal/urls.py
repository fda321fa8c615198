"""Pages. Names of things stand in addresses, never ids; `/-/` can't be part of a repository's name and ends it."""

from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import IntConverter

from haven_portal import assets
from haven_portal.views import (
    activity,
    artifact,
    artifact_changes,
    harbor,
    history,
    home,
    immutability,
    insights,
    labels,
    members,
    preferences,
    projects,
    quotas,
    repositories,
    repository,
    robots,
    search,
    settings,
    sign_in,
    sign_up,
    style_guide,
    trash,
)


class ProjectName:
    """A project's name; what else is written there is no project (haven_core.domain.names)."""

    regex = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class Number(IntConverter):
    """An id: as many digits as a database's number has for sure."""

    regex = r"[0-9]{1,18}"


class RepositoryName(ProjectName):
    """A repository's name below its project, slashes included; no part of it can be `-`, so `/-/` ends it."""

    regex = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"


class Reference(ProjectName):
    """A tag, or a digest."""

    regex = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha(?:256|512):[0-9a-f]{64,128}"


class ImageProject(ProjectName):
    """A project's name at the beginning of an address; what is below these is ours, or programs'."""

    regex = rf"(?!(?:api|c|harbor|projects|service|static|v2)/){ProjectName.regex}"


class TrashKey(ProjectName):
    """Something in the trash."""

    regex = r"(?:artifact|tag|repository)-[0-9]{1,18}"


register_converter(ProjectName, "project")
register_converter(RepositoryName, "repo")
register_converter(Reference, "artifact")
register_converter(ImageProject, "image")
register_converter(TrashKey, "trash")
register_converter(Number, "number")

app_name = "portal"
_in_artifact = [
    path("", artifact.Overview.as_view(), name="artifact"),
    path("activity", artifact.ArtifactActivity.as_view(), name="artifact-activity"),
    path("copy", artifact_changes.CopyTo.as_view(), name="artifact-copy"),
    path("delete", artifact_changes.DeleteArtifact.as_view(), name="artifact-delete"),
    path("labels", artifact_changes.Labels.as_view(), name="artifact-labels"),
    path("labels/remove", artifact_changes.RemoveLabel.as_view(), name="artifact-label-remove"),
    path("layers", artifact.Layers.as_view(), name="artifact-layers"),
    path("manifest", artifact.ManifestPage.as_view(), name="artifact-manifest"),
    path("referrers", artifact.Referrers.as_view(), name="artifact-referrers"),
    path("used-by", artifact.UsedBy.as_view(), name="artifact-used-by"),
    path("values", artifact.Values.as_view(), name="artifact-values"),
]
_in_repository: list[URLPattern | URLResolver] = [
    path("", repository.Tags.as_view(), name="repository"),
    path("a/<artifact:reference>/", include(_in_artifact)),
    path("about", repository.About.as_view(), name="repository-about"),
    path("compare", history.Compare.as_view(), name="compare"),
    path("delete", repositories.DeleteRepository.as_view(), name="repository-delete"),
    path("delete-tags", repository.DeleteTags.as_view(), name="tags-delete"),
    path("history", history.History.as_view(), name="tag-history"),
    path("history/roll-back", history.RollBack.as_view(), name="tag-roll-back"),
    path("tag", repository.NameArtifact.as_view(), name="tag-new"),
]
_in_project: list[URLPattern | URLResolver] = [
    path("", repositories.Repositories.as_view(), name="project"),
    path("activity", activity.ProjectActivity.as_view(), name="project-activity"),
    path("immutability", immutability.Rules.as_view(), name="project-immutability"),
    path("immutability/-/new", immutability.NewRule.as_view(), name="project-rule-new"),
    path("immutability/<number:rule_id>/delete", immutability.DeleteRule.as_view(), name="project-rule-delete"),
    path("immutability/<number:rule_id>/switch", immutability.SwitchRule.as_view(), name="project-rule-switch"),
    path("insights", insights.Insights.as_view(), name="project-insights"),
    path("labels", labels.ProjectLabels.as_view(), name="project-labels"),
    path("labels/-/new", labels.NewProjectLabel.as_view(), name="project-label-new"),
    path("labels/<number:label_id>/delete", labels.DeleteProjectLabel.as_view(), name="project-label-delete"),
    path("labels/<number:label_id>/edit", labels.EditProjectLabel.as_view(), name="project-label-edit"),
    path("members", members.Members.as_view(), name="project-members"),
    path("members/-/add", members.AddMember.as_view(), name="project-member-add"),
    path("members/-/candidates", members.Candidates.as_view(), name="project-member-candidates"),
    path("members/<number:member_id>/remove", members.RemoveMember.as_view(), name="project-member-remove"),
    path("members/<number:member_id>/role", members.ChangeRole.as_view(), name="project-member-role"),
    path("repos/<repo:repository>/-/", include(_in_repository)),
    path("robots", robots.Robots.as_view(), name="project-robots"),
    path("robots/-/new", robots.NewRobot.as_view(), name="project-robot-new"),
    path("robots/<number:robot_id>/delete", robots.DeleteRobot.as_view(), name="project-robot-delete"),
    path("robots/<number:robot_id>/refresh", robots.RefreshRobot.as_view(), name="project-robot-refresh"),
    path("robots/<number:robot_id>/switch", robots.SwitchRobot.as_view(), name="project-robot-switch"),
    path("settings", settings.Settings.as_view(), name="project-settings"),
    path("settings/access", settings.Access.as_view(), name="project-access"),
    path("settings/delete", settings.Delete.as_view(), name="project-delete"),
    path("settings/quota", settings.Limit.as_view(), name="project-quota"),
    path("trash", trash.Trash.as_view(), name="project-trash"),
    path("trash/restore", trash.Restore.as_view(), name="trash-restore"),
    path("trash/<trash:key>/purge", trash.Purge.as_view(), name="trash-purge"),
]
urlpatterns = [
    path("", home.Home.as_view(), name="home"),
    path("-/keys", preferences.Keys.as_view(), name="keys"),
    path("-/preferences", preferences.Preferences.as_view(), name="preferences"),
    path("-/session", sign_in.OneSession.as_view(), name="session"),
    path("-/ui", style_guide.StyleGuide.as_view(), name="style-guide"),
    path("account/sign-in", harbor.HarborPage.as_view(route="sign-in")),
    path("activity", activity.Activity.as_view(), name="activity"),
    path("admin/labels", labels.GlobalLabels.as_view(), name="labels"),
    path("admin/labels/-/new", labels.NewGlobalLabel.as_view(), name="label-new"),
    path("admin/labels/<number:label_id>/delete", labels.DeleteGlobalLabel.as_view(), name="label-delete"),
    path("admin/labels/<number:label_id>/edit", labels.EditGlobalLabel.as_view(), name="label-edit"),
    path("harbor/logs", harbor.HarborPage.as_view(route="activity")),
    path("harbor/projects", harbor.HarborPage.as_view(route="projects")),
    path("harbor/projects/<number:project_id>", harbor.HarborProject.as_view()),
    path("harbor/projects/<number:project_id>/<path:rest>", harbor.HarborProject.as_view()),
    path("me/password", sign_in.Password.as_view(), name="password"),
    path("ops/quotas", quotas.Quotas.as_view(), name="quotas"),
    path("projects/", projects.Projects.as_view(), name="projects"),
    path("projects/-/new", projects.NewProject.as_view(), name="project-new"),
    path("projects/<project:project>/", include(_in_project)),
    path("search", search.Search.as_view(), name="search"),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out", sign_in.SignOut.as_view(), name="sign-out"),
    path("sign-up", sign_up.SignUp.as_view(), name="sign-up"),
    path("static/<str:version>/<str:name>", assets.serve, name="asset"),
    # what an image is called, with https:// in front: no other address has a colon or an at sign
    path("<image:project>/<repo:repository>:<artifact:reference>", search.Jump.as_view(), name="jump"),
    path("<image:project>/<repo:repository>@<artifact:reference>", search.Jump.as_view(), name="jump-digest"),
]
