"""Creating, deleting and listing projects."""

from collections.abc import Callable, Iterator

import pytest

from haven_core.domain.actor import Actor
from haven_core.domain.conditions import ListQuery
from haven_core.domain.roles import Role
from haven_core.errors import BadRequest, Conflict, ProjectInUse, ProjectUnknown
from haven_core.events.models import OutboxEvent
from haven_core.projects import contents
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.selectors import find_project, list_projects, project_exists
from haven_core.projects.services import create_project, delete_project, ensure_library
from haven_core.quotas.models import ProjectQuota

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def repositories() -> Iterator[dict[int, int]]:
    """Stands in for the registry: project id to its number of repositories."""
    before = list(contents._counters)
    counts: dict[int, int] = {}
    contents.register_repository_counts(lambda ids: {key: value for key, value in counts.items() if key in ids})
    yield counts
    contents._counters[:] = before


def test_a_project_comes_with_quota_member_and_event(owner: Actor) -> None:
    project_id = create_project(name="p", owner_id=owner.user_id, hard_bytes=1000, created_by="owner")
    assert ProjectQuota.objects.filter(project_id=project_id).values_list("hard_bytes", "used_bytes").get() == (1000, 0)
    assert ProjectMember.objects.values_list("user_id", "role").get() == (owner.user_id, Role.PROJECT_ADMIN)
    event = OutboxEvent.objects.get(topic="project.created")
    assert event.payload == {"project_id": project_id, "name": "p", "by": "owner"}


def test_a_taken_name_changes_nothing(owner: Actor, make_user: Callable[..., Actor]) -> None:
    create_project(name="p", owner_id=owner.user_id)
    with pytest.raises(Conflict):
        create_project(name="p", owner_id=make_user("other").user_id, is_public=True)
    assert [Project.objects.count(), ProjectQuota.objects.count(), ProjectMember.objects.count()] == [1, 1, 1]
    assert OutboxEvent.objects.filter(topic="project.created").count() == 1
    assert not Project.objects.get().is_public


def test_a_bad_name(owner: Actor) -> None:
    with pytest.raises(BadRequest):
        create_project(name="No/Name", owner_id=owner.user_id)
    assert not Project.objects.exists()


def test_library_is_made_once(admin: Actor) -> None:
    ensure_library()
    ensure_library()
    library = Project.objects.get()
    assert (library.name, library.is_public) == ("library", True)
    delete_project(project_id=library.pk, deleted_by=admin)
    ensure_library()
    assert not project_exists("library")


def test_delete(owner: Actor, private: int, repositories: dict[int, int]) -> None:
    repositories[private] = 1
    with pytest.raises(ProjectInUse):
        delete_project(project_id=private, deleted_by=owner)
    assert project_exists("private")
    assert not OutboxEvent.objects.filter(topic="project.deleted").exists()
    repositories.clear()
    delete_project(project_id=private, deleted_by=owner)
    assert not project_exists("private")
    assert find_project(owner, "private") is None
    assert OutboxEvent.objects.filter(topic="project.deleted").count() == 1
    with pytest.raises(ProjectUnknown):
        delete_project(project_id=private, deleted_by=owner)
    assert create_project(name="private", owner_id=owner.user_id) != private


@pytest.mark.parametrize("count", [2, 20])
def test_a_list_costs_five_statements_whatever_it_holds(
    owner: Actor, count: int, repositories: dict[int, int], django_assert_num_queries
) -> None:
    for number in range(count):
        repositories[create_project(name=f"p{number:02}", owner_id=owner.user_id)] = number
    with django_assert_num_queries(
        4
    ):  # the page, the total, the roles, the allowlists; the registry's count is the fifth
        views, total = list_projects(owner, ListQuery(order=("-name",), limit=100))
    assert total == len(views) == count
    first = views[0]
    assert (first.name, first.owner_name, first.role, first.repository_count) == (
        f"p{count - 1:02}", "owner", Role.PROJECT_ADMIN, count - 1,
    )  # fmt: skip
    with django_assert_num_queries(3):
        find_project(owner, "p00")
