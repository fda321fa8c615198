"""Robot accounts of a project: made by presets, their secret shown once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from haven_core.domain.rights import Permission, with_implied_pull
from haven_core.errors import BadRequest, Conflict
from haven_core.rbac.permissions import Action, Resource
from haven_core.robots.names import is_robot_name, parse_login
from haven_core.robots.selectors import RobotView, find_robot, list_robots
from haven_core.robots.services import create_robot, delete_robot, replace_secret, update_robot
from haven_core.robots.specs import FOREVER, PROJECT_LEVEL, PermissionSpec, RobotSpec
from haven_portal.lists import ListState
from haven_portal.page import secure
from haven_portal.views.project import ProjectPage


@dataclass(frozen=True, slots=True)
class Preset:
    """What a robot usually is for, and the permissions it takes."""

    key: str
    label: str | Promise
    about: str | Promise
    access: frozenset[Permission]


def _pairs(text: str) -> frozenset[Permission]:
    return frozenset((resource, action) for resource, _, action in (word.partition(":") for word in text.split()))


_PULL = "repository:pull repository:list repository:read artifact:read artifact:list tag:list"
PRESETS = (
    Preset("pull", _("Pull"), _("For clusters and servers that run what is here."), _pairs(_PULL)),
    Preset(
        "push",
        _("Push and pull"),
        _("For builds: pushes images and tags, and pulls what it builds on."),
        _pairs(f"{_PULL} repository:push tag:create"),
    ),
    Preset(
        "ci",
        _("Push, pull and clean up"),
        _("For pipelines that also label, retag and delete what they made."),
        _pairs(
            f"{_PULL} repository:push tag:create tag:delete artifact:create artifact:delete artifact-label:create "
            "artifact-label:delete accessory:list artifact-addition:read label:list"
        ),
    ),
    Preset(
        "scanner",
        _("Scan"),
        _("For scanners: pulls everything and reads what belongs to it."),
        _pairs(f"{_PULL} scan:read scan:create sbom:read accessory:list artifact-addition:read"),
    ),
)
_DAYS = (30, 90, 180, 365)


class RobotForm(forms.Form):
    """A new robot."""

    name = forms.CharField(
        label=_("Name"), max_length=100,
        help_text=_("Lower-case letters and digits, with single “.”, “_” or “-” between them."),
    )  # fmt: skip
    preset = forms.ChoiceField(
        label=_("What it may do"), choices=[(one.key, one.label) for one in PRESETS], initial="pull"
    )
    days = forms.TypedChoiceField(label=_("Valid for"), coerce=int, initial=90)
    description = forms.CharField(label=_("Description"), max_length=255, required=False)

    def __init__(self, project: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        choices = [(days, gettext("%(days)d days") % {"days": days}) for days in _DAYS]
        self.fields["days"].choices = [*choices, (FOREVER, gettext("for ever"))]  # type: ignore[attr-defined]
        self.fields["name"].widget.attrs |= {"autocomplete": "off", "autocapitalize": "none"}

    def clean_name(self) -> str:
        """By the rule of the service."""
        name: str = self.cleaned_data["name"]
        if not is_robot_name(name, self.project):
            raise forms.ValidationError(self.fields["name"].help_text)
        return name

    def spec(self) -> RobotSpec:
        """Of a valid form."""
        sent = self.cleaned_data
        access = next(one.access for one in PRESETS if one.key == sent["preset"])
        return RobotSpec(
            name=sent["name"],
            level=PROJECT_LEVEL,
            duration_days=sent["days"],
            permissions=(PermissionSpec(PROJECT_LEVEL, self.project, access),),
            description=sent["description"],
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A robot as the list shows it. preset: None for permissions of its own; state: on, off or expired."""

    robot: RobotView
    preset: Preset | None
    state: str
    permissions: tuple[str, ...]


class RobotPage(ProjectPage):
    """What the pages below share."""

    needs_login = True
    tab = "project-robots"
    needs = (Resource.ROBOT, Action.LIST)

    def show(self, form: RobotForm | None = None, status: int = 200) -> HttpResponse:
        """The list, with the dialog for a new one."""
        sorts = ("name", "creation_time", "expires_at")
        state = ListState.of(self.request, sorts=sorts, default="-creation_time", filters=("q",))
        query = state.query(*state.contains("q", "name"))
        robots, state.total = list_robots(self.actor, Action.LIST, self.project.project_id, query)
        now = timezone.now()
        return self.render(
            "project/robots.html",
            status,
            list=state,
            rows=[_row(robot, now) for robot in robots],
            presets=PRESETS,
            form=form or RobotForm(self.name),
            is_open=form is not None,
            may_create=self.may(Resource.ROBOT, Action.CREATE),
            may_change=self.may(Resource.ROBOT, Action.UPDATE),
            may_delete=self.may(Resource.ROBOT, Action.DELETE),
        )

    def robot(self, robot_id: int, action: Action) -> RobotView:
        """A robot of this project. Raises as find_robot; another project's is none here."""
        robot = find_robot(self.actor, robot_id, action)
        if robot.project_id != self.project.project_id:
            raise BadRequest(gettext("The robot belongs to another project."))
        return robot

    def reveal(self, name: str, secret: str) -> HttpResponse:
        """The one page that shows a secret. It is the answer to the POST itself: nothing keeps it."""
        response = self.render("project/robot_secret.html", robot=name, secret=secret)
        secure(response)
        return response


class Robots(RobotPage):
    """GET /projects/{project}/robots."""

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show()


class NewRobot(RobotPage):
    """POST /projects/{project}/robots/-/new."""

    needs = (Resource.ROBOT, Action.CREATE)

    def get(self, _request: HttpRequest) -> HttpResponseBase:
        return self.show(RobotForm(self.name))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = RobotForm(self.name, request.POST)
        if not form.is_valid():
            return self.show(form, 422)
        try:
            with self.audited("POST", "/robots", form.cleaned_data["name"]):
                made = create_robot(self.actor, form.spec())
        except Conflict:
            form.add_error("name", gettext("There already is a robot of this name."))
            return self.show(form, 422)
        return self.reveal(made.name, made.secret)


class RefreshRobot(RobotPage):
    """GET, POST /projects/{project}/robots/{id}/refresh: a new secret instead of every old one."""

    needs = (Resource.ROBOT, Action.UPDATE)

    def get(self, _request: HttpRequest, robot_id: int) -> HttpResponseBase:
        robot = self.robot(robot_id, Action.UPDATE)
        return self.ask(
            gettext("A new secret for %(name)s?") % {"name": robot.name},
            gettext("The secret it has ends at once: what uses it fails until it has the new one."),
            button=gettext("New secret"),
            back=self.url("project-robots"),
        )

    def post(self, _request: HttpRequest, robot_id: int) -> HttpResponseBase:
        robot = self.robot(robot_id, Action.UPDATE)
        with self.audited("PATCH", f"/robots/{robot_id}", robot.name):
            secret = replace_secret(self.actor, robot_id)
        return self.reveal(robot.name, secret)


class SwitchRobot(RobotPage):
    """POST /projects/{project}/robots/{id}/switch with `disable`: on or off."""

    http_method_names = ["post"]
    needs = (Resource.ROBOT, Action.UPDATE)

    def post(self, request: HttpRequest, robot_id: int) -> HttpResponseBase:
        robot = self.robot(robot_id, Action.UPDATE)
        is_disabled = request.POST.get("disable") == "1"
        parsed = parse_login(robot.name)
        spec = RobotSpec(
            name=parsed.name if parsed else robot.name,
            level=robot.level,
            duration_days=robot.duration_days,
            permissions=tuple(
                PermissionSpec(one.kind, one.namespace, frozenset(one.access)) for one in robot.permissions
            ),
            description=robot.description,
            is_disabled=is_disabled,
        )
        with self.audited("PUT", f"/robots/{robot_id}", robot.name):
            update_robot(self.actor, robot_id, spec, name=robot.name)
        text = gettext("%(name)s is disabled.") if is_disabled else gettext("%(name)s is enabled.")
        return self.done(text % {"name": robot.name}, self.url("project-robots"))


class DeleteRobot(RobotPage):
    """GET, POST /projects/{project}/robots/{id}/delete."""

    needs = (Resource.ROBOT, Action.DELETE)

    def get(self, _request: HttpRequest, robot_id: int) -> HttpResponseBase:
        robot = self.robot(robot_id, Action.DELETE)
        return self.ask(
            gettext("Delete %(name)s?") % {"name": robot.name},
            gettext("What uses it can't sign in any more. This can't be undone."),
            button=gettext("Delete"),
            back=self.url("project-robots"),
        )

    def post(self, _request: HttpRequest, robot_id: int) -> HttpResponseBase:
        robot = self.robot(robot_id, Action.DELETE)
        with self.audited("DELETE", f"/robots/{robot_id}", robot.name):
            delete_robot(self.actor, robot_id, name=robot.name)
        return self.done(gettext("%(name)s is deleted.") % {"name": robot.name}, self.url("project-robots"))


def _row(robot: RobotView, now: datetime) -> Row:
    access = frozenset(pair for one in robot.permissions for pair in one.access)
    preset = next((one for one in PRESETS if with_implied_pull(one.access) == with_implied_pull(access)), None)
    is_expired = robot.expires_at is not None and robot.expires_at <= now
    state = "expired" if is_expired else ("off" if robot.is_disabled else "on")
    return Row(robot, preset, state, tuple(sorted(f"{resource}:{action}" for resource, action in access)))
