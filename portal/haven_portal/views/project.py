"""What all pages of a project share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.errors import Forbidden, HavenError
from haven_core.members.selectors import administrators
from haven_core.projects.selectors import ProjectView, find_project
from haven_core.quotas.selectors import usage_of
from haven_core.rbac.permissions import Action, Resource, evaluate, require
from haven_portal.page import Advice, Page, see_other


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of a project's pages. route: its URL's name; shown to who may do `action` on `resource` there."""

    route: str
    label: str | Promise
    resource: Resource
    action: Action


_ADMINS = 5  # names that a refusal tells

TABS = (
    Tab("project", _("Repositories"), Resource.REPOSITORY, Action.LIST),
    Tab("project-insights", _("Insights"), Resource.REPOSITORY, Action.LIST),
    Tab("project-members", _("Members"), Resource.MEMBER, Action.LIST),
    Tab("project-labels", _("Labels"), Resource.LABEL, Action.LIST),
    Tab("project-robots", _("Robots"), Resource.ROBOT, Action.LIST),
    Tab("project-immutability", _("Immutable tags"), Resource.IMMUTABLE_TAG, Action.LIST),
    Tab("project-trash", _("Trash"), Resource.ARTIFACT, Action.DELETE),
    Tab("project-activity", _("Audit log"), Resource.LOG, Action.LIST),
    Tab("project-settings", _("Settings"), Resource.PROJECT, Action.UPDATE),
)


class ProjectPage(Page):
    """A page of the project that `project` in the address names. tab: which one it is, by its route.

    needs: the permission to see it; what the page changes is asked for with allow().
    """

    section = "projects"
    tab = "project"
    needs: tuple[Resource, Action] = (Resource.REPOSITORY, Action.LIST)

    project: ProjectView
    seen: ProjectView | None = None

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.name = kwargs["project"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        kwargs.pop("project")  # every page of a project has it; what a method takes is the rest
        return super().dispatch(request, *args, **kwargs)

    def identify(self, request: HttpRequest) -> None:
        """Also: the project, for who may see this page of it. Raises as permissions.require."""
        super().identify(request)
        self.seen = project = self.read_project()
        require(self.actor, project, *self.needs)
        assert project is not None  # require refuses None
        self.project = project

    @property
    def audited_in(self) -> int | None:
        """This one, also for what the REST API has elsewhere: robots, labels."""
        return self.project.project_id

    def advice(self, error: HavenError) -> Advice:
        """For members who may not do this: who could give them the right."""
        if not isinstance(error, Forbidden) or self.seen is None or not self.seen.roles:
            return Advice()
        if not evaluate(self.actor, Resource.MEMBER, Action.LIST, self.seen):
            return Advice(gettext("Your role in %(project)s does not allow this.") % {"project": self.name})
        names = ", ".join(administrators(self.seen.project_id, limit=_ADMINS))
        text = gettext("Your role in %(project)s does not allow this. These can give you another one: %(names)s")
        return Advice(text % {"project": self.name, "names": names})

    def read_project(self) -> ProjectView | None:
        """The project, if the caller may see it."""
        return find_project(self.actor, self.name)

    def may(self, resource: Resource, action: Action) -> bool:
        """Whether the caller may do this here: for what a page shows."""
        return evaluate(self.actor, resource, action, self.project)

    def allow(self, resource: Resource, action: Action) -> None:
        """Before a change. Raises as permissions.require."""
        require(self.actor, self.project, resource, action)

    def url(self, route: str, *args: object) -> str:
        """The address of a page of this project."""
        return reverse(f"portal:{route}", args=[self.name, *args])

    def done_with_undo(self, message: object, url: str, keys: Sequence[str]) -> HttpResponseRedirect:
        """After something went into the trash. keys: of what can be taken out again, such as artifact-12."""
        query = QueryDict(mutable=True)
        query.setlist("item", list(keys))
        undo = f"{self.url('trash-restore')}?{query.urlencode()}" if keys else ""
        self.messages.add(25, str(message), extra_tags=undo)
        return see_other(url)

    @cached_property
    def usage(self) -> tuple[int | None, int] | None:
        """(limit, bytes used) of the project, for who may read them; no limit: None."""
        return usage_of(self.actor, [self.project]).get(self.project.project_id)

    def render(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """The page below the project's head and tabs."""
        tabs = [
            {"key": tab.route, "label": tab.label, "url": self.url(tab.route), "count": self._count(tab)}
            for tab in TABS
            if self.may(tab.resource, tab.action)
        ]
        shared = {"project": self.project, "project_tabs": tabs, "tab": self.tab, "usage": self.usage}
        return super().render(template, status, **shared | context)

    def _count(self, tab: Tab) -> int | None:
        return self.project.repository_count if tab.route == "project" else None
