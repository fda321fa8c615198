"""Rules that make tags immutable, as sentences."""

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.domain.selectors import (
    DOUBLESTAR,
    EXCLUDES,
    MATCHES,
    REPOSITORY_EXCLUDES,
    REPOSITORY_MATCHES,
    Selector,
)
from haven_core.errors import BadRequest, Conflict, NotFound
from haven_core.policies.immutability import RuleView, create_rule, delete_rule, list_rules, update_rule
from haven_core.rbac.permissions import Action, Resource
from haven_portal.views.project import ProjectPage
from haven_registry.rule_preview import Preview, preview_rule

_SHOWN = 50  # tags of a preview

_PATTERN = _("* is anything but a slash, ** anything, {a,b} one of them.")


class RuleForm(forms.Form):
    """A rule: which repositories, which tags."""

    repositories = forms.ChoiceField(
        label=_("Repositories"), choices=[(REPOSITORY_MATCHES, _("that match")), (REPOSITORY_EXCLUDES, _("except"))]
    )
    repository_pattern = forms.CharField(label=_("Pattern"), max_length=255, initial="**", help_text=_PATTERN)
    tags = forms.ChoiceField(label=_("Tags"), choices=[(MATCHES, _("that match")), (EXCLUDES, _("except"))])
    tag_pattern = forms.CharField(label=_("Pattern"), max_length=255, initial="v*")

    def selectors(self) -> tuple[Selector, Selector]:
        """Of repositories and of tags, of a valid form."""
        sent = self.cleaned_data
        return (
            Selector(DOUBLESTAR, sent["repositories"], sent["repository_pattern"]),
            Selector(DOUBLESTAR, sent["tags"], sent["tag_pattern"]),
        )


class RulePage(ProjectPage):
    """What the pages below share."""

    needs_login = True
    tab = "project-immutability"
    needs = (Resource.IMMUTABLE_TAG, Action.LIST)

    def show(self, form: RuleForm | None = None, status: int = 200, *, preview: Preview | None = None) -> HttpResponse:
        """The rules, with the dialog for a new one."""
        rules, _total = list_rules(self.project.project_id)
        return self.render(
            "project/immutability.html",
            status,
            rules=rules,
            form=form or RuleForm(),
            is_open=form is not None,
            preview=preview,
            may_create=self.may(Resource.IMMUTABLE_TAG, Action.CREATE),
            may_change=self.may(Resource.IMMUTABLE_TAG, Action.UPDATE),
            may_delete=self.may(Resource.IMMUTABLE_TAG, Action.DELETE),
        )

    def preview(self, form: RuleForm) -> Preview | None:
        """What the rule in the form would mean now; None for a form that is no rule yet."""
        if not form.is_valid():
            return None
        try:
            return preview_rule(self.project.project_id, *form.selectors(), limit=_SHOWN)
        except BadRequest:
            return None

    def rule(self, rule_id: int) -> RuleView:
        """One of this project. Raises NotFound."""
        found = next((rule for rule in list_rules(self.project.project_id)[0] if rule.id == rule_id), None)
        if found is None:
            raise NotFound
        return found


class Rules(RulePage):
    """GET /projects/{project}/immutability."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show()


class NewRule(RulePage):
    """GET, POST /projects/{project}/immutability/-/new. GET with a rule in the address shows what it would mean."""

    needs = (Resource.IMMUTABLE_TAG, Action.CREATE)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if "tag_pattern" not in request.GET:
            return self.show(RuleForm())
        form = RuleForm(request.GET)
        preview = self.preview(form)
        if self.is_fragment:
            return self.render("project/rule_preview.html", preview=preview)
        return self.show(form, preview=preview)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = RuleForm(request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        repository, tag = form.selectors()
        try:
            with self.audited("POST", f"/projects/{self.name}/immutabletagrules"):
                create_rule(project_id=self.project.project_id, repository=repository, tag=tag, by=self.actor.name)
        except Conflict:
            form.add_error(None, gettext("The project already has this rule."))
            return self.show(form, 422)
        except BadRequest as error:
            form.add_error(None, str(error))
            return self.show(form, 422)
        return self.done(gettext("The rule holds from now on."), self.url("project-immutability"))


class SwitchRule(RulePage):
    """POST /projects/{project}/immutability/{id}/switch with `disable`: on or off."""

    http_method_names = ["post"]
    needs = (Resource.IMMUTABLE_TAG, Action.UPDATE)

    def post(self, request: HttpRequest, rule_id: int) -> HttpResponseBase:
        rule = self.rule(rule_id)
        is_disabled = request.POST.get("disable") == "1"
        with self.audited("PUT", f"/projects/{self.name}/immutabletagrules/{rule_id}"):
            update_rule(
                project_id=self.project.project_id, rule_id=rule_id, repository=rule.repository, tag=rule.tag,
                is_disabled=is_disabled, priority=rule.priority, params=rule.params, by=self.actor.name,
            )  # fmt: skip
        text = gettext("The rule is off.") if is_disabled else gettext("The rule is on.")
        return self.done(text, self.url("project-immutability"))


class DeleteRule(RulePage):
    """GET, POST /projects/{project}/immutability/{id}/delete."""

    needs = (Resource.IMMUTABLE_TAG, Action.DELETE)

    def get(self, _request: HttpRequest, rule_id: int) -> HttpResponseBase:
        self.rule(rule_id)
        return self.ask(
            gettext("Delete the rule?"),
            gettext("Tags that only this rule protects can be moved and deleted again."),
            button=gettext("Delete"),
            back=self.url("project-immutability"),
        )

    def post(self, _request: HttpRequest, rule_id: int) -> HttpResponseBase:
        with self.audited("DELETE", f"/projects/{self.name}/immutabletagrules/{rule_id}"):
            delete_rule(project_id=self.project.project_id, rule_id=rule_id, by=self.actor.name)
        return self.done(gettext("The rule is deleted."), self.url("project-immutability"))
