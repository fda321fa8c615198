"""Who belongs to a project."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.accounts.selectors import search_names
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.domain.roles import BY_STRENGTH, NAMES, Role
from haven_core.errors import Conflict, Forbidden, HavenError, NotFound
from haven_core.groups.selectors import search_groups
from haven_core.members.selectors import Member, find_member, list_members
from haven_core.members.services import Candidate, add_member, change_role, remove_member
from haven_core.rbac.permissions import Action, Resource
from haven_core.rbac.roles import GrantedRole, list_roles
from haven_portal.lists import ListState
from haven_portal.views.project import ProjectPage
from haven_portal.words import explain, role_name

_CANDIDATES = 20
_MEANS = {
    NAMES[Role.PROJECT_ADMIN]: _("Everything, also members, robots, settings and deleting the project."),
    NAMES[Role.MAINTAINER]: _("Push and pull, delete, and write policies."),
    NAMES[Role.DEVELOPER]: _("Push and pull, tags and labels."),
    NAMES[Role.GUEST]: _("Pull, and see members and settings."),
    NAMES[Role.LIMITED_GUEST]: _("Pull only."),
}


class MemberForm(forms.Form):
    """Somebody new. Roles come from the page: those the caller may give."""

    kind = forms.ChoiceField(choices=[("user", _("User")), ("group", _("Group"))], initial="user", label=_("Kind"))
    name = forms.CharField(label=_("Name"), max_length=255)
    role = forms.TypedChoiceField(label=_("Role"), coerce=int, widget=forms.RadioSelect)

    def __init__(self, roles: list[GrantedRole], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(role.role_id, role_name(role.name)) for role in roles]  # type: ignore[attr-defined]
        self.fields["role"].initial = int(Role.DEVELOPER)
        self.fields["name"].widget.attrs |= {"list": "candidates", "autocomplete": "off", "autocapitalize": "none"}


class MemberPage(ProjectPage):
    """What the pages below share."""

    needs_login = True
    tab = "project-members"
    needs = (Resource.MEMBER, Action.LIST)

    def show(self, form: MemberForm | None = None, status: int = 200) -> HttpResponse:
        """The list, with the dialog for somebody new."""
        state = ListState.of(self.request, sorts=(), filters=("q",))
        members, state.total = list_members(self.project, state.query(*state.contains("q", "entityname")))
        roles = self.givable_roles()
        return self.render(
            "project/members.html",
            status,
            list=state,
            members=[(member, any(role.role_id == member.role_id for role in roles)) for member in members],
            roles=roles,
            choices=[(role, _MEANS.get(role.name, role.description)) for role in roles],
            form=form or MemberForm(roles),
            is_open=form is not None,
            may_add=self.may(Resource.MEMBER, Action.CREATE),
            may_change=self.may(Resource.MEMBER, Action.UPDATE),
            may_remove=self.may(Resource.MEMBER, Action.DELETE),
        )

    def givable_roles(self) -> list[GrantedRole]:
        """The roles that may no more than the caller here; the service refuses others."""
        roles = list_roles()
        order = {int(role): index for index, role in enumerate(BY_STRENGTH)}
        roles.sort(key=lambda role: order.get(role.role_id, role.role_id))
        return [role for role in roles if self.actor.is_sysadmin or role.permissions <= self.project.permissions]

    def member(self, member_id: int) -> Member:
        """One of this project. Raises NotFound."""
        found = find_member(self.project.project_id, member_id)
        if found is None:
            raise NotFound
        return found


class Members(MemberPage):
    """GET /projects/{project}/members."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show()


class AddMember(MemberPage):
    """POST /projects/{project}/members/-/add."""

    needs = (Resource.MEMBER, Action.CREATE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show(MemberForm(self.givable_roles()))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = MemberForm(self.givable_roles(), request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        sent = form.cleaned_data
        name = sent["name"]
        who = Candidate(username=name) if sent["kind"] == "user" else Candidate(group_name=name)
        try:
            with self.audited("POST", f"/projects/{self.name}/members", name):
                add_member(project=self.project, candidate=who, role_id=sent["role"], added_by=self.actor)
        except NotFound:
            form.add_error("name", gettext("There is nobody of this name."))
        except Conflict:
            form.add_error("name", gettext("They already are a member."))
        except Forbidden:
            form.add_error("role", gettext("You can't give a role that may more than yours."))
        else:
            return self.done(gettext("%(name)s is a member now.") % {"name": name}, self.url("project-members"))
        return self.show(form, 422)


class Candidates(ProjectPage):
    """GET /projects/{project}/members/-/candidates?kind=&name=: names that contain what is typed, as options."""

    needs_login = True
    needs = (Resource.MEMBER, Action.CREATE)

    def get(self, request: HttpRequest) -> HttpResponseBase:
        text = request.GET.get("name", "").replace("\0", "").strip()[:255]
        names: list[str] = []
        if text and request.GET.get("kind") == "group":
            query = ListQuery((Condition("group_name", Match.CONTAINS, (text,)),), limit=_CANDIDATES)
            groups, _total = search_groups(self.actor, query)
            names = [group.name for group in groups]
        elif text:
            query = ListQuery((Condition("username", Match.CONTAINS, (text,)),), ("username",), limit=_CANDIDATES)
            names = [name for _id, name in search_names(self.actor, query)[0]]
        return self.render("project/candidates.html", names=names)


class ChangeRole(MemberPage):
    """POST /projects/{project}/members/{id}/role."""

    http_method_names = ["post"]
    needs = (Resource.MEMBER, Action.UPDATE)

    def post(self, request: HttpRequest, member_id: int) -> HttpResponseBase:
        member = self.member(member_id)
        role = request.POST.get("role", "")
        role_id = int(role) if role.isascii() and role.isdigit() and len(role) < 10 else 0
        try:
            with self.audited("PUT", f"/projects/{self.name}/members/{member_id}", member.entity_name):
                change_role(project=self.project, member_id=member_id, role_id=role_id, changed_by=self.actor)
        except HavenError as error:
            return self.refused(explain(error), self.url("project-members"))
        message = gettext("The role of %(name)s is changed.") % {"name": member.entity_name}
        return self.done(message, self.url("project-members"))


class RemoveMember(MemberPage):
    """GET, POST /projects/{project}/members/{id}/remove."""

    needs = (Resource.MEMBER, Action.DELETE)

    def get(self, _request: HttpRequest, member_id: int) -> HttpResponseBase:
        member = self.member(member_id)
        return self.ask(
            gettext("Remove %(name)s?") % {"name": member.entity_name},
            gettext("Their role in this project ends at once. Nothing they pushed is deleted."),
            button=gettext("Remove"),
            back=self.url("project-members"),
        )

    def post(self, _request: HttpRequest, member_id: int) -> HttpResponseBase:
        member = self.member(member_id)
        try:
            with self.audited("DELETE", f"/projects/{self.name}/members/{member_id}", member.entity_name):
                remove_member(project=self.project, member_id=member_id, removed_by=self.actor)
        except Forbidden:
            message = gettext("%(name)s has a role that may more than yours.") % {"name": member.entity_name}
            return self.refused(message, self.url("project-members"))
        message = gettext("%(name)s is no member any more.") % {"name": member.entity_name}
        return self.done(message, self.url("project-members"))
