"""Pages. Names of things stand in addresses, never ids; `/-/` can't be part of a repository's name and ends it."""

from django.urls import path, register_converter

from haven_portal import assets
from haven_portal.views import activity, home, preferences, project, projects, search, sign_in, style_guide


class ProjectName:
    """A project's name; what else is written there is no project (haven_core.domain.names)."""

    regex = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"

    def to_python(self, value: str) -> str:
        """As it is."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


register_converter(ProjectName, "project")

app_name = "portal"
urlpatterns = [
    path("", home.Home.as_view(), name="home"),
    path("-/preferences", preferences.Preferences.as_view(), name="preferences"),
    path("-/ui", style_guide.StyleGuide.as_view(), name="style-guide"),
    path("activity", activity.Activity.as_view(), name="activity"),
    path("me/password", sign_in.Password.as_view(), name="password"),
    path("projects/", projects.Projects.as_view(), name="projects"),
    path("projects/-/new", projects.NewProject.as_view(), name="project-new"),
    path("projects/<project:project>/", project.Repositories.as_view(), name="project"),
    path("projects/<project:project>/activity", activity.ProjectActivity.as_view(), name="project-activity"),
    path("search", search.Search.as_view(), name="search"),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out", sign_in.SignOut.as_view(), name="sign-out"),
    path("static/<str:version>/<str:name>", assets.serve, name="asset"),
]
