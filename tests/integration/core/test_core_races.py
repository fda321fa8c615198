"""Two at once, on a database that several connections share."""

from haven_core.accounts.models import User
from haven_core.accounts.services import create_user, ensure_admin
from haven_core.errors import Conflict
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project
from haven_core.quotas.models import ProjectQuota
from tests.support.races import THREADS, at_once, shared_database

__all__ = ["shared_database"]


def test_one_of_many_gets_the_project_name(shared_database: None) -> None:
    owner_id = create_user(username="owner", password="Correct1horse")
    outcomes = at_once(lambda number: create_project(name="p", owner_id=owner_id, hard_bytes=number))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 1
    assert [Project.objects.count(), ProjectQuota.objects.count(), ProjectMember.objects.count()] == [1, 1, 1]


def test_one_of_many_gets_the_user_name(shared_database: None) -> None:
    outcomes = at_once(lambda _: create_user(username="ann", password="Correct1horse"))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Conflict)]) == THREADS - 1
    assert User.objects.count() == 1


def test_one_first_administrator(shared_database: None) -> None:
    outcomes = at_once(lambda _: ensure_admin(None))
    assert len([outcome for outcome in outcomes if outcome]) == 1  # the password that is shown is the one that works
    assert User.objects.count() == 1
