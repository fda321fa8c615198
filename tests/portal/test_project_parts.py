"""Members, robots, labels, rules, the audit log of a project: what each role may change, and that a refusal changes nothing."""

from collections.abc import Callable

import pytest

from haven_core.accounts.services import set_auditor
from haven_core.audit.consumer import consume
from haven_core.audit.models import AuditLog
from haven_core.domain.roles import Role
from haven_core.events.models import OutboxEvent
from haven_core.groups.models import UserGroup
from haven_core.labels.models import Label
from haven_core.policies.models import ImmutableRule
from haven_core.projects.models import Project, ProjectMember
from haven_core.robots.models import Robot
from tests.portal.conftest import MOST_QUERIES, Browser

pytestmark = pytest.mark.usefixtures("transactional_db")
SignedIn = Callable[..., Browser]


def test_members(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner = signed_in("owner")
    assert 'value="stranger"' in owner.text("/projects/team/members/-/candidates?kind=user&name=stran")
    added = owner.post("/projects/team/members/-/add", kind="user", name="stranger", role=int(Role.DEVELOPER))
    assert added.status_code == 303
    member = ProjectMember.objects.get(project_id=team["team"], user_id=team["stranger"])
    assert member.role == Role.DEVELOPER
    twice = owner.post("/projects/team/members/-/add", kind="user", name="stranger", role=int(Role.GUEST))
    assert twice.status_code == 422
    assert "They already are a member." in twice.content.decode()
    nobody = owner.post("/projects/team/members/-/add", kind="user", name="nobody", role=int(Role.GUEST))
    assert "There is nobody of this name." in nobody.content.decode()
    owner.post(f"/projects/team/members/{member.pk}/role", role=int(Role.MAINTAINER))
    member.refresh_from_db()
    assert member.role == Role.MAINTAINER
    assert "Remove stranger?" in owner.text(f"/projects/team/members/{member.pk}/remove")
    owner.post(f"/projects/team/members/{member.pk}/remove")
    assert not ProjectMember.objects.filter(pk=member.pk).exists()


def test_a_group_becomes_a_member(signed_in: SignedIn, team: dict[str, int]) -> None:
    UserGroup.objects.create(name="platform", kind=2, created_at="2026-01-01T00:00:00Z")
    owner = signed_in("owner")
    assert 'value="platform"' in owner.text("/projects/team/members/-/candidates?kind=group&name=plat")
    assert owner.post("/projects/team/members/-/add", kind="group", name="platform", role=3).status_code == 303
    assert ProjectMember.objects.filter(project_id=team["team"], group__name="platform").exists()


def test_a_guest_changes_nothing(signed_in: SignedIn, team: dict[str, int]) -> None:
    guest = signed_in("guest")
    member = ProjectMember.objects.get(project_id=team["team"], user_id=team["guest"])
    assert "Add member" not in guest.text("/projects/team/members")
    sent = {
        "/projects/team/members/-/add": {"kind": "user", "name": "stranger", "role": 1},
        f"/projects/team/members/{member.pk}/role": {"role": 1},
        f"/projects/team/members/{member.pk}/remove": {},
        "/projects/team/robots/-/new": {"name": "bot", "preset": "pull", "days": 30},
        "/projects/team/labels/-/new": {"name": "word", "color": "#123456"},
        "/projects/team/immutability/-/new": {
            "repositories": "repoMatches",
            "repository_pattern": "**",
            "tags": "matches",
            "tag_pattern": "v*",
        },
        "/projects/team/settings/access": {"public": "on"},
        "/projects/team/settings/delete": {"typed": "team"},
        "/admin/labels/-/new": {"name": "word", "color": "#123456"},
    }
    for path, fields in sent.items():
        assert guest.post(path, **fields).status_code == 403, path
    assert guest.get("/projects/team/members/-/candidates?kind=user&name=a").status_code == 403
    assert ProjectMember.objects.filter(project_id=team["team"]).count() == 2
    member.refresh_from_db()
    assert member.role == Role.GUEST
    assert [model.objects.count() for model in (Robot, Label, ImmutableRule)] == [0, 0, 0]  # type: ignore[attr-defined]


def test_another_projects_things_are_none_here(
    signed_in: SignedIn, team: dict[str, int], projects: dict[str, int]
) -> None:
    owner = signed_in("owner")
    owner.post("/projects/private/labels/-/new", name="theirs", color="#123456")
    owner.post("/projects/private/robots/-/new", name="theirs", preset="pull", days=30)
    label, robot = Label.objects.get().pk, Robot.objects.get().pk
    member = ProjectMember.objects.get(project_id=projects["private"], user_id=team["guest"]).pk
    for path in (f"labels/{label}/delete", f"robots/{robot}/delete", f"members/{member}/remove"):
        assert owner.post(f"/projects/team/{path}").status_code in (400, 404), path
    assert Label.objects.exists()
    assert Robot.objects.exists()
    assert ProjectMember.objects.filter(pk=member).exists()


def test_robots(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner = signed_in("owner")
    made = owner.post("/projects/team/robots/-/new", name="bot", preset="push", days=30, description="builds")
    assert made.status_code == 200
    assert made["Cache-Control"] == "no-store"
    page = made.content.decode()
    secret = page.split('id="robot-secret" tabindex="0">')[1].split("<")[0]
    assert len(secret) >= 24
    assert "robot$team+bot" in page
    listed = owner.text("/projects/team/robots")
    assert "Push and pull" in listed
    assert secret not in listed
    assert secret not in str([event.payload for event in OutboxEvent.objects.all()])
    assert owner.post("/projects/team/robots/-/new", name="bot", preset="pull", days=30).status_code == 422
    assert owner.post("/projects/team/robots/-/new", name="Bot!", preset="pull", days=30).status_code == 422
    assert owner.post("/projects/team/robots/-/new", name="b", preset="all", days=1).status_code == 422
    robot = Robot.objects.get()
    owner.post(f"/projects/team/robots/{robot.pk}/switch", disable="1")
    robot.refresh_from_db()
    assert robot.is_disabled
    owner.post(f"/projects/team/robots/{robot.pk}/switch", disable="0")
    refreshed = owner.post(f"/projects/team/robots/{robot.pk}/refresh").content.decode()
    assert secret not in refreshed
    assert owner.post(f"/projects/team/robots/{robot.pk}/delete").status_code == 303
    assert not Robot.objects.exists()


@pytest.mark.parametrize(("base", "user"), [("/projects/team/labels", "owner"), ("/admin/labels", "root")])
def test_labels(signed_in: SignedIn, team: dict[str, int], base: str, user: str) -> None:
    browser = signed_in(user)
    assert browser.post(f"{base}/-/new", name="<b>word</b>", color="#2F9E44", description="x").status_code == 303
    label = Label.objects.get()
    assert (label.project_id is None) == (user == "root")
    page = browser.text(base)
    assert "&lt;b&gt;word&lt;/b&gt;" in page
    assert "<b>word" not in page
    assert browser.post(f"{base}/-/new", name="<b>word</b>", color="#2F9E44").status_code == 422
    assert browser.post(f"{base}/-/new", name="other", color="red;x").status_code == 422
    assert "Edit label" in browser.text(f"{base}/{label.pk}/edit")
    browser.post(f"{base}/{label.pk}/edit", name="better", color="#C92A2A")
    label.refresh_from_db()
    assert (label.name, label.color) == ("better", "#C92A2A")
    browser.post(f"{base}/{label.pk}/delete")
    assert not Label.objects.exists()


def test_immutability(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner = signed_in("owner")
    rule = {"repositories": "repoMatches", "repository_pattern": "**", "tags": "matches", "tag_pattern": "v*"}
    assert owner.post("/projects/team/immutability/-/new", **rule).status_code == 303
    assert owner.post("/projects/team/immutability/-/new", **rule).status_code == 422
    assert owner.post("/projects/team/immutability/-/new", **{**rule, "tag_pattern": "{a"}).status_code == 422
    made = ImmutableRule.objects.get()
    owner.post(f"/projects/team/immutability/{made.pk}/switch", disable="1")
    made.refresh_from_db()
    assert made.is_disabled
    owner.post(f"/projects/team/immutability/{made.pk}/delete")
    assert not ImmutableRule.objects.exists()


def test_read_only_says_why(signed_in: SignedIn, team: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    from haven_core.policies import writes

    def refuse() -> None:
        raise writes.ReadOnly

    monkeypatch.setattr(writes, "_policies", [refuse])
    owner = signed_in("owner")
    answer = owner.post("/projects/team/labels/-/new", name="word", color="#123456")
    assert answer.status_code == 403
    assert "read-only mode" in answer.content.decode()
    assert not Label.objects.exists()


def test_read_only_is_said_on_every_page(
    signed_in: SignedIn, team: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from haven_core.configuration import selectors

    owner = signed_in("owner")
    assert "read-only mode" not in owner.text("/projects/team/")
    values = selectors.value
    monkeypatch.setattr(selectors, "value", lambda name: True if name == "read_only" else values(name))
    for path in ("/", "/projects/", "/projects/team/"):
        assert "read-only mode" in owner.text(path), path


def test_queries_do_not_grow_with_rows(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner = signed_in("owner")
    pages = ("members", "robots", "labels", "immutability", "settings", "activity", "")
    numbers = []
    for batch in range(2):
        for number in range(3):
            name = f"x{batch}{number}"
            owner.post("/projects/team/labels/-/new", name=name, color="#123456")
            owner.post("/projects/team/robots/-/new", name=name, preset="pull", days=30)
        numbers.append([owner.queries(f"/projects/team/{page}") for page in pages])
    assert numbers[0] == numbers[1]
    assert max(numbers[1]) <= MOST_QUERIES


def test_an_auditor_sees_and_changes_nothing(team: dict[str, int], signed_in: Callable[..., Browser]) -> None:
    set_auditor(user_id=team["stranger"], is_auditor=True, set_by="root")
    browser = signed_in("stranger")
    for path in ("/projects/team/members", "/projects/team/robots", "/activity", "/projects/"):
        assert browser.get(path).status_code == 200, path
    assert browser.post("/projects/-/new", name="mine").status_code == 403
    assert browser.post("/projects/team/members/-/add", kind="user", name="root", role="1").status_code == 403
    assert not Project.objects.filter(name="mine").exists()
    assert ProjectMember.objects.filter(project_id=team["team"]).count() == 2


def test_the_project_s_log_tells_of_its_robots_and_labels(signed_in: SignedIn, team: dict[str, int]) -> None:
    """The REST API has them outside the project."""
    owner = signed_in("owner")
    owner.post("/projects/team/robots/-/new", name="bot", preset="pull", days=30)
    owner.post("/projects/team/labels/-/new", name="ready", color="#B7E3CC")
    while consume():
        pass
    told = AuditLog.objects.filter(project_id=team["team"]).values_list("operation", "resource_type", "resource")
    assert {("create", "robot", "bot"), ("create", "label", "ready")} <= set(told)
