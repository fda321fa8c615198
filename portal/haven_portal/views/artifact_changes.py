"""What a person changes about an artifact: labels, copies, and that it is gone."""

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import Conflict, HavenError, NotFound, TagImmutable
from haven_core.labels.selectors import LabelView, find_label, list_labels
from haven_core.projects.selectors import enter_project
from haven_core.rbac.permissions import Action, Resource, require
from haven_portal import words
from haven_portal.views.artifact import ArtifactPage
from haven_registry.errors import ManifestReferenced
from haven_registry.oci.reference import is_repository_name
from haven_registry.services.artifacts import copy_with_accessories, delete_artifact
from haven_registry.services.labels import attach_label, detach_label
from haven_registry.services.repositories import get_or_create_repository
from haven_registry.trash import Item, list_trash

_MOST = 200


class CopyForm(forms.Form):
    """Where a copy goes."""

    project = forms.CharField(label=_("Project"), max_length=255)
    repository = forms.CharField(
        label=_("Repository"), max_length=255,
        help_text=_("Its tags and what is attached to it go along; no data is moved. It is made if it is not there."),
    )  # fmt: skip


class CopyTo(ArtifactPage):
    """/projects/{project}/repos/{repository}/-/a/{reference}/copy."""

    needs_login = True

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show(CopyForm(initial={"project": self.name, "repository": self.repository_name}))

    def show(self, form: CopyForm, status: int = 200) -> HttpResponse:
        """The form."""
        return self.render("artifact/copy.html", status, form=form)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = CopyForm(request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        project_name, name = form.cleaned_data["project"].strip(), form.cleaned_data["repository"].strip()
        project = enter_project(self.actor, project_name)
        try:
            require(self.actor, project, Resource.ARTIFACT, Action.CREATE)
        except HavenError:
            form.add_error("project", gettext("There is no such project, or you may not push there."))
            return self.show(form, 422)
        assert project is not None  # require refuses None
        if not is_repository_name(f"{project_name}/{name}"):
            form.add_error("repository", gettext("Use lower-case letters, digits, “.”, “_”, “-” and “/”."))
            return self.show(form, 422)
        try:
            with self.audited("POST", f"/projects/{project_name}/repositories/{name}/artifacts"):
                target = get_or_create_repository(project.project_id, name)
                copy_with_accessories(
                    source_repository_id=self.repository.id, digest=self.row.digest, manifest_id=self.row.id,
                    repository_id=target, project_id=project.project_id, origin=self.origin,
                )  # fmt: skip
        except TagImmutable:
            form.add_error("repository", gettext("One of its tags is immutable there."))
            return self.show(form, 422)
        except HavenError as error:
            form.add_error(None, words.explain(error))
            return self.show(form, 422)
        message = gettext("Copied to %(name)s.") % {"name": f"{project_name}/{name}"}
        return self.done(message, _url_of(project_name, name))


class DeleteArtifact(ArtifactPage):
    """/projects/{project}/repos/{repository}/-/a/{reference}/delete: into the trash, with its tags and accessories."""

    needs_login = True
    needs = (Resource.ARTIFACT, Action.DELETE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.ask(
            gettext("Delete the artifact?"),
            gettext("It goes to the trash with all its tags and what is attached to it."),
            button=gettext("Delete"),
            back=self.artifact_url(),
        )

    def post(self, _request: HttpRequest) -> HttpResponseBase:
        digest = self.row.digest
        try:
            name = f"{self.repository.full_name}@{digest}"
            with self.audited("DELETE", f"{self.api_path}/artifacts/{digest}", name):
                delete_artifact(repository_id=self.repository.id, digest=digest, origin=self.origin)
        except TagImmutable:
            return self.refused(gettext("A rule of the project makes one of its tags immutable."), self.artifact_url())
        except ManifestReferenced:
            return self.refused(gettext("An index names it. Delete the index first."), self.artifact_url())
        trashed, _total = list_trash(
            self.project.project_id, offset=0, limit=10, items=(Item.ARTIFACT,), repository=self.repository_name
        )
        keys = [f"artifact-{one.id}" for one in trashed if one.digest == digest]
        return self.done_with_undo(gettext("The artifact is in the trash."), self.repository_url(), keys)


class Labels(ArtifactPage):
    """/projects/{project}/repos/{repository}/-/a/{reference}/labels: which ones there are to put on it, and doing so."""

    needs_login = True
    needs = (Resource.ARTIFACT_LABEL, Action.CREATE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.render("artifact/labels.html", labels=self._offered())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        label = find_label(_number(request.POST.get("label", "")))
        if label is None or label.project_id not in (None, self.project.project_id):
            raise NotFound
        try:
            with self.audited("POST", f"{self.api_path}/artifacts/{self.row.digest}/labels"):
                attach_label(manifest_id=self.row.id, label_id=label.id)
        except Conflict:
            return self.refused(gettext("It has this label already."), self.artifact_url())
        return self.done(gettext("The label is on it."), self.artifact_url())

    def _offered(self) -> list[LabelView]:
        """Those of the project, then the global ones."""
        query = ListQuery((Condition("name", Match.CONTAINS, ("",)),), order=("name",), limit=_MOST)
        return [
            *list_labels(self.actor, self.project.project_id, query)[0],
            *list_labels(self.actor, None, query)[0],
        ]


class RemoveLabel(ArtifactPage):
    """POST /projects/{project}/repos/{repository}/-/a/{reference}/labels/remove with `label`."""

    needs_login = True
    http_method_names = ["post"]
    needs = (Resource.ARTIFACT_LABEL, Action.DELETE)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        label_id = _number(request.POST.get("label", ""))
        with self.audited("DELETE", f"{self.api_path}/artifacts/{self.row.digest}/labels/{label_id}"):
            detach_label(manifest_id=self.row.id, label_id=label_id)
        return self.done(gettext("The label is off."), self.artifact_url())


def _url_of(project: str, repository: str) -> str:
    return reverse("portal:repository", args=[project, repository])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
