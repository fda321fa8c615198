"""The trash of a project: what was deleted, restoring it, and deleting it for good."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from haven_core.errors import Conflict, HavenError, NotFound
from haven_core.rbac.permissions import Action, Resource
from haven_portal import words
from haven_portal.kinds import kind_of
from haven_portal.lists import ListState
from haven_portal.views.project import ProjectPage
from haven_registry.errors import ManifestReferenced, TagsTaken
from haven_registry.oci.reference import is_repository_name, is_tag
from haven_registry.services.repositories import restore_repository
from haven_registry.services.restore import Taken, restore_manifest, restore_tag
from haven_registry.services.trash import purge_artifact, purge_tag, purge_trashed_repository
from haven_registry.trash import Item, TrashView, find_trash, list_trash

_RESOURCES = {Item.ARTIFACT: Resource.ARTIFACT, Item.TAG: Resource.TAG, Item.REPOSITORY: Resource.REPOSITORY}
_MOST = 100  # restored at once
ITEMS = {Item.ARTIFACT: _("Artifacts"), Item.TAG: _("Tags"), Item.REPOSITORY: _("Repositories")}


class TrashPage(ProjectPage):
    """A page of the trash. Who may throw away may see, restore and purge what was thrown away."""

    needs_login = True
    tab = "project-trash"
    needs = (Resource.ARTIFACT, Action.DELETE)

    def found(self, key: str) -> TrashView:
        """What a key such as artifact-12 names, where the caller may delete such things. Raises NotFound, Forbidden."""
        kind, _, number = key.partition("-")
        if kind not in tuple(Item) or not (number.isascii() and number.isdigit() and len(number) < 19):
            raise NotFound
        self.allow(_RESOURCES[Item(kind)], Action.DELETE)
        return find_trash(self.project.project_id, Item(kind), int(number))

    def path(self, view: TrashView) -> str:
        """Its path in the REST API, for the audit log."""
        return f"/projects/{self.name}/trash/{view.item}/{view.id}"

    def restore(self, view: TrashView, taken: Taken, name: str | None = None) -> None:
        """Take it out. Raises TagsTaken, Conflict, and what the services raise."""
        with self.audited("POST", f"{self.path(view)}/restore", view.repository):
            if view.item is Item.REPOSITORY:
                restore_repository(view.id, self.origin, name=name)
            elif view.item is Item.TAG:
                restore_tag(
                    repository_id=view.repository_id, history_id=view.id, name=name, taken=taken, origin=self.origin
                )
            else:
                restore_manifest(repository_id=view.repository_id, digest=view.digest, taken=taken, origin=self.origin)


class Trash(TrashPage):
    """GET /projects/{project}/trash."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        state = ListState.of(request, sorts=("",), filters=("kind", "repository"))
        kind = state.filters.get("kind", "")
        if kind not in tuple(Item):
            state.filters.pop("kind", None)
        items = (Item(kind),) if kind in tuple(Item) else tuple(Item)
        views, state.total = list_trash(
            self.project.project_id, offset=(state.page - 1) * state.per, limit=state.per, items=items,
            repository=state.filters.get("repository"),
        )  # fmt: skip
        return self.render(
            "project/trash.html",
            list=state,
            rows=[
                {
                    "item": view,
                    "key": f"{view.item}-{view.id}",
                    "kind": kind_of(view.type),
                    "days": days_left(view),
                    "may": self.may(_RESOURCES[view.item], Action.DELETE),
                }
                for view in views
            ],
            items=[(item.value, label) for item, label in ITEMS.items()],
        )


class Restore(TrashPage):
    """/projects/{project}/trash/restore?item=artifact-12: at once, or, where a name is taken, after a question."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        view = self.found(request.GET.get("item", ""))
        return self.render("project/restore.html", item=view, key=request.GET["item"], error="")

    def post(self, request: HttpRequest) -> HttpResponseBase:
        keys = (request.POST.getlist("item") or request.GET.getlist("item"))[:_MOST]
        if len(keys) == 1 and ("taken" in request.POST or "name" in request.POST):
            return self._as_answered(request, keys[0])
        done, refusals = 0, []
        for key in keys:
            try:
                view = self.found(key)
                self.restore(view, Taken.REFUSE)
            except (TagsTaken, Conflict):
                if len(keys) == 1:
                    text = gettext("Something else has the name by now.")
                    return self.render("project/restore.html", 409, item=self.found(key), key=key, error=text)
                refusals.append(gettext("%(key)s: its name is taken.") % {"key": key})
            except HavenError as error:
                refusals.append(f"{key}: {words.explain(error)}")
            else:
                done += 1
        back = self.url("project-trash")
        if not done:
            return self.refused("; ".join(refusals[:5]) or gettext("Nothing was selected."), back)
        text = ngettext("%(n)d thing is restored.", "%(n)d things are restored.", done) % {"n": done}
        place = self.url("repository", view.repository.partition("/")[2]) if len(keys) == done == 1 else back
        return self.done(" ".join([text, *refusals[:3]]), place)

    def _as_answered(self, request: HttpRequest, key: str) -> HttpResponseBase:
        view = self.found(key)
        name = request.POST.get("name", "").strip() or None
        taken = request.POST.get("taken", Taken.REFUSE.value)
        valid = is_tag if view.item is Item.TAG else lambda text: is_repository_name(f"{self.name}/{text}")
        error = ""
        if name is not None and not valid(name):
            error = gettext("This name can't be used.")
        else:
            try:
                self.restore(view, Taken(taken) if taken in tuple(Taken) else Taken.REFUSE, name)
            except (TagsTaken, Conflict):
                error = gettext("Something else has the name by now.")
            except HavenError as refusal:
                error = words.explain(refusal)
        if error:
            return self.render("project/restore.html", 422, item=view, key=key, error=error)
        repository = name if name and view.item is Item.REPOSITORY else view.repository.partition("/")[2]
        return self.done(gettext("It is restored."), self.url("repository", repository))


class Purge(TrashPage):
    """/projects/{project}/trash/{key}/purge: for good, once its name was typed."""

    def get(self, _request: HttpRequest, key: str) -> HttpResponseBase:
        return self._question(self.found(key))

    def post(self, request: HttpRequest, key: str) -> HttpResponseBase:
        view = self.found(key)
        if request.POST.get("typed") != typed_name(view):
            return self._question(view, gettext("This is not the name."))
        try:
            with self.audited("DELETE", self.path(view), view.repository):
                if view.item is Item.REPOSITORY:
                    purge_trashed_repository(project_id=self.project.project_id, repository_id=view.id)
                elif view.item is Item.TAG:
                    purge_tag(repository_id=view.repository_id, history_id=view.id)
                else:
                    purge_artifact(
                        project_id=self.project.project_id, repository_id=view.repository_id, manifest_id=view.id
                    )
        except ManifestReferenced:
            text = gettext("An index that is in the trash too names it. Delete that one for good first.")
            return self.refused(text, self.url("project-trash"))
        return self.done(gettext("It is deleted for good."), self.url("project-trash"))

    def _question(self, view: TrashView, error: str = "") -> HttpResponseBase:
        return self.ask(
            gettext("Delete it for good?"),
            gettext("Nobody can bring it back afterwards, and its storage is freed."),
            button=gettext("Delete for good"),
            back=self.url("project-trash"),
            must_be=typed_name(view),
            error=error,
        )


def typed_name(view: TrashView) -> str:
    """What has to be typed to delete it for good."""
    if view.item is Item.TAG:
        return view.tags[0]
    return view.repository if view.item is Item.REPOSITORY else view.digest.partition(":")[2][:12]


def days_left(view: TrashView) -> int:
    """Days until it is gone, begun ones counted."""
    return max(0, -(-(view.restorable_until - timezone.now()) // timedelta(days=1)))
