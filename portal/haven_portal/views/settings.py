"""A project's settings: who sees it, how much it may hold, and its end."""

from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext

from haven_core.domain.project_metadata import PUBLIC
from haven_core.errors import ProjectInUse
from haven_core.projects.metadata import update_metadata
from haven_core.projects.services import delete_project
from haven_core.quotas.services import set_limit
from haven_core.rbac.permissions import Action, Resource, evaluate, require_system
from haven_portal.forms import QuotaForm
from haven_portal.views.project import ProjectPage


class Settings(ProjectPage):
    """GET /projects/{project}/settings."""

    needs_login = True
    tab = "project-settings"
    needs = (Resource.PROJECT, Action.UPDATE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show()

    def show(self, quota: QuotaForm | None = None, status: int = 200) -> HttpResponseBase:
        """All cards of it."""
        return self.render(
            "project/settings.html",
            status,
            quota=quota or QuotaForm.of(self.usage[0] if self.usage else None),
            may_limit=evaluate(self.actor, Resource.QUOTA, Action.UPDATE),
            may_delete=self.may(Resource.PROJECT, Action.DELETE),
        )


class Access(Settings):
    """POST /projects/{project}/settings/access with `public`."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        is_public = request.POST.get("public") == "on"
        with self.audited("PUT", f"/projects/{self.name}", self.name):
            update_metadata(project_id=self.project.project_id, changes={PUBLIC: "true" if is_public else "false"})
        text = gettext("The project is public now.") if is_public else gettext("The project is private now.")
        return self.done(text, self.url("project-settings"))


class Limit(Settings):
    """POST /projects/{project}/settings/quota, for system administrators."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        require_system(self.actor, Resource.QUOTA, Action.UPDATE)
        form = QuotaForm(request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        with self.audited("PUT", f"/quotas/{self.project.project_id}", self.name):
            set_limit(project_id=self.project.project_id, hard_bytes=form.limit_bytes)
        back = request.POST.get("back") == "quotas"
        url = reverse("portal:quotas") if back else self.url("project-settings")
        return self.done(gettext("The storage limit is saved."), url)


class Delete(Settings):
    """GET, POST /projects/{project}/settings/delete: its name has to be typed."""

    needs = (Resource.PROJECT, Action.DELETE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self._ask()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if request.POST.get("typed") != self.name:
            return self._ask(gettext("This is not the name of the project."))
        try:
            with self.audited("DELETE", f"/projects/{self.name}", self.name):
                delete_project(project_id=self.project.project_id, deleted_by=self.actor)
        except ProjectInUse:
            return self._ask(gettext("The project still contains repositories. Delete them first."))
        return self.done(gettext("The project %(name)s is deleted.") % {"name": self.name}, reverse("portal:projects"))

    def _ask(self, error: str = "") -> HttpResponseBase:
        return self.ask(
            gettext("Delete the project %(name)s?") % {"name": self.name},
            gettext("Its members, robots, labels and rules go with it. Its name is free again afterwards."),
            button=gettext("Delete the project"),
            back=self.url("project-settings"),
            must_be=self.name,
            error=error,
        )
