"""Rights in projects."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.roles import Role
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project, delete_project
from haven_core.rbac import access
from haven_core.rbac.access import project_access, visible_projects

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {"pull", "push", "delete"}
PULL = frozenset({"pull"})


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        (Role.PROJECT_ADMIN, ALL),
        (Role.MAINTAINER, ALL),
        (Role.DEVELOPER, {"pull", "push"}),
        (Role.GUEST, {"pull"}),
        (Role.LIMITED_GUEST, {"pull"}),
    ],
)
def test_what_a_role_may(private: int, member: Callable[[int, Role], Actor], role: Role, actions: set[str]) -> None:
    found = project_access(member(private, role), "private")
    assert found is not None
    assert (found.project_id, found.actions, found.is_public) == (private, actions, False)


def test_strangers_and_administrators(private: int, public: int, make_user: Callable[..., Actor], admin: Actor) -> None:
    def actions(actor: Actor, name: str) -> set[str]:
        found = project_access(actor, name)
        assert found is not None
        return set(found.actions)

    stranger = make_user("stranger")
    assert [actions(ANONYMOUS, "private"), actions(ANONYMOUS, "public")] == [set(), {"pull"}]
    assert [actions(stranger, "private"), actions(stranger, "public")] == [set(), {"pull"}]
    assert [actions(admin, "private"), actions(admin, "public")] == [ALL, ALL]
    assert project_access(admin, "missing") is None
    assert project_access(admin, "../private") is None


def test_one_statement_then_none(private: int, owner: Actor, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        project_access(owner, "private", PULL)
    with django_assert_num_queries(0):
        project_access(owner, "private", frozenset(ALL))


def test_a_new_right_works_at_once_although_the_old_answer_is_cached(
    private: int, make_user: Callable[..., Actor]
) -> None:
    ann = make_user("ann")
    before = project_access(ann, "private", PULL)
    assert before is not None
    assert not before.actions
    assert project_access(ann, "later", PULL) is None
    # as another process would, which can't clear our cache
    Project.objects.create(name="later", is_public=True)
    ProjectMember.objects.create(project_id=private, user_id=ann.user_id, role=Role.GUEST, created_at=timezone.now())
    for name in ("private", "later"):
        after = project_access(ann, name, PULL)
        assert after is not None
        assert after.actions == PULL


def test_a_lost_right_is_honoured_for_five_seconds_at_most(
    private: int, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(access._cache, "_clock", lambda: now)
    assert project_access(owner, "private", PULL)
    ProjectMember.objects.all().delete()
    now += 4.9
    late = project_access(owner, "private", PULL)
    assert late is not None
    assert late.actions
    now += 0.2
    gone = project_access(owner, "private", PULL)
    assert gone is not None
    assert not gone.actions
    assert access.STALENESS_SECONDS == 5


def test_a_local_delete_counts_at_once(private: int, owner: Actor) -> None:
    assert project_access(owner, "private", PULL)
    delete_project(project_id=private, deleted_by=owner)
    assert project_access(owner, "private", PULL) is None


def test_visible_projects(
    private: int, public: int, owner: Actor, admin: Actor, make_user: Callable[..., Actor]
) -> None:
    gone = create_project(name="gone", owner_id=owner.user_id, is_public=True)
    delete_project(project_id=gone, deleted_by=owner)

    def names(actor: Actor) -> set[str]:
        return set(visible_projects(actor).values_list("name", flat=True))

    assert names(ANONYMOUS) == names(make_user("stranger")) == {"public"}
    assert names(owner) == names(admin) == {"public", "private"}
