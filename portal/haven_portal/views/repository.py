"""What all pages of a repository share, and those about its tags."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from haven_core.errors import Conflict, HavenError, TagImmutable
from haven_core.policies.immutability import tag_protection
from haven_core.projects.selectors import ProjectView, enter_project
from haven_core.rbac.permissions import Action, Resource
from haven_portal import words
from haven_portal.clients import CLIENTS, Registry
from haven_portal.kinds import kind_of, marks_of
from haven_portal.lists import ListState
from haven_portal.page import Advice, Page
from haven_portal.views.project import ProjectPage, Tab
from haven_registry import store
from haven_registry.accessories import list_accessories_of
from haven_registry.artifact_list import find_artifact
from haven_registry.errors import ManifestUnknown, RepositoryUnknown
from haven_registry.oci.reference import is_tag
from haven_registry.repository_summary import RepositoryRow, find_repository_row
from haven_registry.services.artifacts import delete_artifact
from haven_registry.services.repositories import describe_repository
from haven_registry.services.tags import delete_tag, move_tag
from haven_registry.tag_list import Order, TagRow, list_repository_tags, list_untagged, sister_tags
from haven_registry.trash import Item, list_trash

MAX_DELETED = 100  # tags at once: each is a transaction
_TABS = (
    Tab("repository", _("Tags"), Resource.ARTIFACT, Action.LIST),
    Tab("tag-history", _("History"), Resource.REPOSITORY, Action.READ),
    Tab("compare", _("Compare"), Resource.ARTIFACT_ADDITION, Action.READ),
    Tab("repository-about", _("About"), Resource.ARTIFACT, Action.LIST),
)


class RepositoryPage(ProjectPage):
    """A page of the repository that `repository` in the address names."""

    needs = (Resource.ARTIFACT, Action.LIST)
    tab = "repository"

    repository: RepositoryRow

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.repository_name = kwargs["repository"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        kwargs.pop("repository")
        return super().dispatch(request, *args, **kwargs)

    def read_project(self) -> ProjectView | None:
        return enter_project(self.actor, self.name)

    def identify(self, request: HttpRequest) -> None:
        """Also: the repository. Raises RepositoryUnknown besides."""
        super().identify(request)
        self.find(self.project.project_id)

    def advice(self, error: HavenError) -> Advice:
        """Also: where to look for a repository or an artifact that is not there any more."""
        project = getattr(self, "project", None)
        if project is None or not isinstance(error, (RepositoryUnknown, ManifestUnknown)):
            return super().advice(error)
        ways = self.ways_from_nothing(error)
        if self.may(Resource.ARTIFACT, Action.DELETE):
            ways.append((gettext("Trash"), self.url("project-trash"), "trash"))
        return Advice(gettext("It does not exist, or not any more."), tuple(ways))

    def ways_from_nothing(self, error: HavenError) -> list[tuple[str, str, str]]:
        """The nearest pages that there are."""
        if isinstance(error, RepositoryUnknown):
            return [(gettext("Repositories"), self.url("project"), "box")]
        return [(gettext("Tags"), self.repository_url(), "tag")]

    def find(self, project_id: int) -> None:
        """What the address names below the project."""
        self.repository = find_repository_row(project_id, self.repository_name)

    def repository_url(self, route: str = "repository", *args: object) -> str:
        """The address of a page of this repository."""
        return self.url(route, self.repository_name, *args)

    @property
    def names_people(self) -> bool:
        """Whether the caller learns who did what here: of a public project only members do."""
        return self.may(Resource.REPOSITORY, Action.READ)

    @property
    def api_path(self) -> str:
        """Its path in the REST API, as the audit log names it."""
        return f"/projects/{self.name}/repositories/{self.repository_name}"

    def is_immutable(self, tag: str) -> bool:
        """Whether a rule of the project protects the tag, once it exists."""
        protects = tag_protection(self.project.project_id, self.repository_name)
        return protects is not None and protects(tag)

    def render(self, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """The page below the repository's head and tabs."""
        tabs = [
            {"key": tab.route, "label": tab.label, "url": self.repository_url(tab.route), "count": None}
            for tab in _TABS
            if self.may(tab.resource, tab.action)
        ]
        shared = {
            "project": self.project,
            "repository": self.repository,
            "repository_tabs": tabs,
            "tab": self.tab,
            "names_people": self.names_people,
            "may_delete_repository": self.may(Resource.REPOSITORY, Action.DELETE),
        }
        return Page.render(self, template, status, **shared | context)


class Tags(RepositoryPage):
    """GET /projects/{project}/repos/{repository}/-/."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        state = ListState.of(
            request, sorts=[each.value for each in Order], default="-pushed", filters=("q", "show", "side")
        )
        is_untagged = state.filters.get("show") == "untagged"
        start = (state.page - 1) * state.per
        if is_untagged:
            rows, state.total = list_untagged(self.repository.id, store.driver(), offset=start, limit=state.per)
        else:
            rows, state.total = list_repository_tags(
                self.repository.id, store.driver(), offset=start, limit=state.per,
                order=Order(state.sort.removeprefix("-")), descends=state.sort.startswith("-"),
                text=state.filters.get("q", ""), with_side_tags="side" in state.filters,
            )  # fmt: skip
        registry = Registry.of(request)
        protects = tag_protection(self.project.project_id, self.repository_name)
        lanes = lanes_of(rows)
        attached = list_accessories_of({(self.repository.id, row.row.digest): row.row.id for row in rows})
        return self.render(
            "repository/tag_rows.html" if self.is_fragment else "repository/tags.html",
            list=state,
            rows=[
                {
                    "tag": row,
                    "kind": kind_of(row.row.kind),
                    "marks": marks_of(each.kind for each in attached.get(row.row.id, ())),
                    "lane": lanes.get(row.row.digest, 0),
                    "is_immutable": bool(row.name) and protects is not None and protects(row.name),
                    "pull": registry.pull(self.repository.full_name, row.name or row.row.digest, row.row.kind),
                }
                for row in rows
            ],
            is_untagged=is_untagged,
            clients=CLIENTS,
            pushes=registry,
            may_tag=self.may(Resource.TAG, Action.CREATE),
            may_delete=self.may(Resource.TAG, Action.DELETE),
            may_push=self.may(Resource.REPOSITORY, Action.PUSH),
        )


class DeleteTags(RepositoryPage):
    """/projects/{project}/repos/{repository}/-/delete-tags with `tag`, or `digest` for artifacts without one: first the
    question, which names what else would go; with `confirm`, into the trash."""

    needs_login = True
    needs = (Resource.TAG, Action.DELETE)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self.question(request.GET.getlist("tag")[:MAX_DELETED], request.GET.getlist("digest")[:MAX_DELETED])

    def post(self, request: HttpRequest) -> HttpResponseBase:
        names, digests = request.POST.getlist("tag")[:MAX_DELETED], request.POST.getlist("digest")[:MAX_DELETED]
        if "confirm" not in request.POST:
            return self.question(names, digests)
        if not (names or digests):
            return self.refused(gettext("Nothing was selected."), self.repository_url())
        if request.POST.get("what") == "artifacts" or digests:
            self.allow(Resource.ARTIFACT, Action.DELETE)
            wanted = [*digests, *sister_tags(self.repository.id, names)]
            return self._answer(self._each(wanted, self._delete_artifact), Item.ARTIFACT)
        return self._answer(self._each(names, self._delete_tag), Item.TAG)

    def question(self, names: Sequence[str], digests: Sequence[str]) -> HttpResponse:
        """The page that asks; nothing is changed."""
        found = sister_tags(self.repository.id, names)
        chosen = set(names)
        artifacts = [
            {
                "digest": digest,
                "chosen": [tag for tag in tags if tag in chosen],
                "sisters": [tag for tag in tags if tag not in chosen],
                "immutable": [tag for tag in tags if self.is_immutable(tag)],
            }
            for digest, tags in found.items()
        ]
        return self.render(
            "repository/delete_tags.html",
            artifacts=artifacts,
            names=[tag for each in artifacts for tag in each["chosen"]],
            digests=digests,
            protected=[tag for each in artifacts for tag in each["chosen"] if tag in each["immutable"]],
            held=[tag for each in artifacts for tag in each["immutable"]],
            has_sisters=any(each["sisters"] for each in artifacts),
            may_delete_artifacts=self.may(Resource.ARTIFACT, Action.DELETE),
        )

    def _each(self, wanted: Sequence[str], delete: Any) -> tuple[list[str], list[str]]:
        """What went, and why the others did not."""
        done, refusals = [], []
        for one in wanted:
            try:
                delete(one)
            except HavenError as error:
                refusals.append(f"{one[:40]}: {words.explain(error)}")
            else:
                done.append(one)
        return done, refusals

    def _delete_tag(self, name: str) -> None:
        row = find_artifact(self.repository.id, name)
        path = f"{self.api_path}/artifacts/{row.digest}/tags/{name}"
        with self.audited("DELETE", path, f"{self.repository.full_name}:{name}"):
            delete_tag(repository_id=self.repository.id, name=name, manifest_id=row.id, origin=self.origin)

    def _delete_artifact(self, digest: str) -> None:
        row = find_artifact(self.repository.id, digest)
        with self.audited("DELETE", f"{self.api_path}/artifacts/{row.digest}", f"{self.repository.full_name}@{digest}"):
            delete_artifact(repository_id=self.repository.id, digest=row.digest, origin=self.origin)

    def _answer(self, result: tuple[list[str], list[str]], item: Item) -> HttpResponseBase:
        done, refusals = result
        if not done:
            return self.refused("; ".join(refusals[:5]), self.repository_url())
        number = len(done)
        if item is Item.TAG:
            text = ngettext("%(n)d tag deleted.", "%(n)d tags deleted.", number) % {"n": number}
        else:
            text = ngettext("%(n)d artifact is in the trash.", "%(n)d artifacts are in the trash.", number) % {
                "n": number
            }
        if refusals:
            text += " " + "; ".join(refusals[:3])
        trashed, _total = list_trash(
            self.project.project_id, offset=0, limit=number * 2, items=(item,), repository=self.repository_name
        )
        wanted = set(done)
        keys = [f"{item}-{one.id}" for one in trashed if not wanted.isdisjoint((one.digest, *one.tags))]
        return self.done_with_undo(text, self.repository_url(), keys[:number])


class TagForm(forms.Form):
    """A name for an artifact."""

    name = forms.CharField(
        label=_("Tag"), max_length=128, help_text=_("Letters, digits, “_”, “.” and “-”, at most 128.")
    )
    to = forms.CharField(label=_("Artifact"), max_length=160, help_text=_("Another tag of it, or its digest."))
    move = forms.BooleanField(
        label=_("Move it if it exists"), required=False,
        help_text=_("What it meant before stays in the tag's history, and you can go back."),
    )  # fmt: skip

    def clean_name(self) -> str:
        """By the rule of the protocol."""
        name: str = self.cleaned_data["name"]
        if not is_tag(name):
            raise forms.ValidationError(gettext("This can't be a tag."))
        return name


class NameArtifact(RepositoryPage):
    """/projects/{project}/repos/{repository}/-/tag: give an artifact one more name, or move one to it."""

    needs_login = True
    needs = (Resource.TAG, Action.CREATE)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        initial = {key: request.GET.get(key, "")[:160] for key in ("name", "to")}
        return self.show(TagForm(initial={**initial, "move": bool(initial["name"])}))

    def show(self, form: TagForm, status: int = 200) -> HttpResponse:
        """The form."""
        return self.render("repository/tag_form.html", status, form=form)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = TagForm(request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        name, to = form.cleaned_data["name"], form.cleaned_data["to"].strip()
        try:
            row = find_artifact(self.repository.id, to)
            path = f"{self.api_path}/artifacts/{row.digest}/tags"
            with self.audited("POST", path, f"{self.repository.full_name}:{name}"):
                move_tag(
                    repository_id=self.repository.id, name=name, digest=row.digest,
                    must_be_new=not form.cleaned_data["move"], origin=self.origin,
                )  # fmt: skip
        except ManifestUnknown:
            form.add_error("to", gettext("There is no such artifact in this repository."))
        except Conflict:
            form.add_error("name", gettext("This tag exists. Switch on “Move it” to let it mean the other artifact."))
        except TagImmutable:
            form.add_error("name", gettext("A rule of the project makes this tag immutable."))
        else:
            message = gettext("%(name)s names %(digest)s now.") % {"name": name, "digest": row.digest[7:19]}
            return self.done(message, self.repository_url())
        return self.show(form, 422)


class About(RepositoryPage):
    """/projects/{project}/repos/{repository}/-/about: what people say of it."""

    tab = "repository-about"

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("repository/about.html", may_edit=self.may(Resource.REPOSITORY, Action.UPDATE))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        self.allow(Resource.REPOSITORY, Action.UPDATE)
        text = request.POST.get("description", "").replace("\0", "")[:4000]
        with self.audited("PUT", self.api_path, self.repository.full_name):
            describe_repository(self.repository.id, text.strip(), self.origin)
        return self.done(gettext("The description is saved."), self.repository_url("repository-about"))


def lanes_of(rows: Sequence[TagRow]) -> dict[str, int]:
    """A number for each digest that several rows share, from 1: those rows are joined by a line of one colour."""
    seen: dict[str, int] = {}
    for row in rows:
        seen[row.row.digest] = seen.get(row.row.digest, 0) + 1
    return {digest: number for number, digest in enumerate((each for each in seen if seen[each] > 1), start=1)}
