"""Labels: those of a project, and the global ones, which everybody sees and administrators write."""

from abc import ABC, abstractmethod

from django import forms
from django.core.validators import RegexValidator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.errors import Conflict, NotFound
from haven_core.labels.selectors import LabelView, find_label, list_labels
from haven_core.labels.services import MAX_DESCRIPTION, MAX_NAME, create_label, delete_label, update_label
from haven_core.rbac.permissions import Action, Resource, evaluate, require_system
from haven_portal.lists import ListState
from haven_portal.page import Page
from haven_portal.views.project import ProjectPage

COLORS = (
    "#0B7285", "#1098AD", "#2F9E44", "#66A80F", "#E67700", "#D9480F", "#C92A2A", "#A61E4D", "#862E9C", "#5F3DC4",
    "#364FC7", "#495057",
)  # fmt: skip


class LabelForm(forms.Form):
    """A label."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    description = forms.CharField(label=_("Description"), max_length=MAX_DESCRIPTION, required=False)
    color = forms.CharField(
        label=_("Colour"), initial=COLORS[0], validators=[RegexValidator(r"^#[0-9A-Fa-f]{6}\Z")],
        widget=forms.TextInput(attrs={"type": "color"}),
    )  # fmt: skip


class LabelPage(Page, ABC):
    """What the pages of both kinds share."""

    label_routes = ("labels", "label-new", "label-edit", "label-delete")
    label_template = "admin/labels.html"

    @property
    def label_project_id(self) -> int | None:
        """Whose labels they are; None: global."""
        return None

    def label_url(self, number: int, *args: object) -> str:
        """An address of label_routes."""
        return reverse(f"portal:{self.label_routes[number]}", args=args)

    @abstractmethod
    def may_with_labels(self, action: Action) -> bool:
        """Whether the caller may do this with them."""

    def show(self, form: LabelForm | None = None, status: int = 200, editing: LabelView | None = None) -> HttpResponse:
        """The list, with a dialog for a new one or for the one that is edited."""
        state = ListState.of(self.request, sorts=("name", "creation_time"), default="name", filters=("q",))
        labels, state.total = list_labels(self.actor, self.label_project_id, state.query(*state.contains("q", "name")))
        rows = [(label, self.label_url(2, label.id), self.label_url(3, label.id)) for label in labels]
        return self.render(
            self.label_template,
            status,
            list=state,
            rows=rows,
            form=form or LabelForm(),
            is_open=form is not None,
            editing=editing,
            colors=COLORS,
            list_url=self.label_url(0),
            action_url=self.label_url(2, editing.id) if editing else self.label_url(1),
            may_create=self.may_with_labels(Action.CREATE),
            may_change=self.may_with_labels(Action.UPDATE),
            may_delete=self.may_with_labels(Action.DELETE),
        )

    def label(self, label_id: int) -> LabelView:
        """One of these. Raises NotFound."""
        found = find_label(label_id)
        if found is None or found.project_id != self.label_project_id:
            raise NotFound
        return found

    def save(self, form: LabelForm, editing: LabelView | None = None) -> HttpResponseBase:
        """Write what the form says."""
        if not form.is_valid():
            return self.show(form, 422, editing)
        sent = form.cleaned_data
        try:
            if editing is None:
                with self.audited("POST", "/labels", sent["name"]):
                    create_label(project_id=self.label_project_id, **sent)
            else:
                with self.audited("PUT", f"/labels/{editing.id}", sent["name"]):
                    update_label(label_id=editing.id, **sent)
        except Conflict:
            form.add_error("name", gettext("There already is a label of this name."))
            return self.show(form, 422, editing)
        return self.done(gettext("The label %(name)s is saved.") % {"name": sent["name"]}, self.label_url(0))

    def ask_to_delete(self, label: LabelView) -> HttpResponseBase:
        """The question before deleting."""
        return self.ask(
            gettext("Delete the label %(name)s?") % {"name": label.name},
            gettext("It is taken off every artifact that has it."),
            button=gettext("Delete"),
            back=self.label_url(0),
        )

    def remove(self, label: LabelView) -> HttpResponseBase:
        """Delete."""
        with self.audited("DELETE", f"/labels/{label.id}", label.name):
            delete_label(label_id=label.id)
        return self.done(gettext("The label %(name)s is deleted.") % {"name": label.name}, self.label_url(0))


class GlobalLabelPage(LabelPage):
    """Of the labels of the registry."""

    section = "labels"

    def identify(self, request: HttpRequest) -> None:
        """For those who may write them; everybody else meets them where they can be used."""
        super().identify(request)
        require_system(self.actor, Resource.LABEL, Action.CREATE)

    def may_with_labels(self, action: Action) -> bool:
        return evaluate(self.actor, Resource.LABEL, action)


class ProjectLabelPage(LabelPage, ProjectPage):
    """Of a project's."""

    tab = "project-labels"
    needs = (Resource.LABEL, Action.LIST)
    label_routes = ("project-labels", "project-label-new", "project-label-edit", "project-label-delete")
    label_template = "project/labels.html"

    @property
    def label_project_id(self) -> int | None:
        return self.project.project_id

    def label_url(self, number: int, *args: object) -> str:
        return self.url(self.label_routes[number], *args)

    def may_with_labels(self, action: Action) -> bool:
        return self.may(Resource.LABEL, action)


class _List(LabelPage):
    """GET …/labels."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show()


class _New(LabelPage):
    """GET, POST …/labels/-/new."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show(LabelForm())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return self.save(LabelForm(request.POST))


class _Edit(LabelPage):
    """GET, POST …/labels/{id}/edit."""

    def get(self, _request: HttpRequest, label_id: int) -> HttpResponseBase:
        label = self.label(label_id)
        start = {"name": label.name, "description": label.description, "color": label.color or COLORS[0]}
        return self.show(LabelForm(initial=start), editing=label)

    def post(self, request: HttpRequest, label_id: int) -> HttpResponseBase:
        return self.save(LabelForm(request.POST), self.label(label_id))


class _Delete(LabelPage):
    """GET, POST …/labels/{id}/delete."""

    def get(self, _request: HttpRequest, label_id: int) -> HttpResponseBase:
        return self.ask_to_delete(self.label(label_id))

    def post(self, _request: HttpRequest, label_id: int) -> HttpResponseBase:
        return self.remove(self.label(label_id))


class GlobalLabels(_List, GlobalLabelPage):
    """Of the registry."""


class NewGlobalLabel(_New, GlobalLabelPage):
    """Of the registry."""


class EditGlobalLabel(_Edit, GlobalLabelPage):
    """Of the registry."""


class DeleteGlobalLabel(_Delete, GlobalLabelPage):
    """Of the registry."""


class ProjectLabels(_List, ProjectLabelPage):
    """Of a project."""


class NewProjectLabel(_New, ProjectLabelPage):
    """Of a project."""

    needs = (Resource.LABEL, Action.CREATE)


class EditProjectLabel(_Edit, ProjectLabelPage):
    """Of a project."""

    needs = (Resource.LABEL, Action.UPDATE)


class DeleteProjectLabel(_Delete, ProjectLabelPage):
    """Of a project."""

    needs = (Resource.LABEL, Action.DELETE)
