"""/quotas, and the summary that shows one."""

from typing import Any

import pytest

from haven_core.configuration.services import update
from haven_core.db.transactions import run_write
from haven_core.errors import QuotaExceeded
from haven_core.events.models import OutboxEvent
from haven_core.projects.services import create_project, delete_project
from haven_core.quotas.models import ProjectQuota
from haven_core.quotas.services import charge
from tests.api.settings.support import Call, assert_error, ok

pytestmark = pytest.mark.django_db(transaction=True)


def used(project_id: int) -> int:
    return ProjectQuota.objects.get(project_id=project_id).used_bytes


def test_read_and_set(api: Call, projects: dict[str, int]) -> None:
    project = projects["private"]
    body = ok(api("GET", f"/quotas/{project}", user="root")).json()
    assert body["id"] == project
    assert body["ref"] == {"id": project, "name": "private", "owner_name": "owner"}
    assert (body["hard"], body["used"]) == ({"storage": -1}, {"storage": 0})
    ok(api("PUT", f"/quotas/{project}", {"hard": {"storage": 100}}, user="root"))
    run_write(lambda: charge(project, 60))
    ok(api("PUT", f"/quotas/{project}", {"hard": {"storage": 50}}, user="root"))  # below what is used
    body = ok(api("GET", f"/quotas/{project}", user="root")).json()
    assert (body["hard"], body["used"]) == ({"storage": 50}, {"storage": 60})
    assert body["update_time"] > body["creation_time"]
    with pytest.raises(QuotaExceeded):
        run_write(lambda: charge(project, 1))
    run_write(lambda: charge(project, -20))
    run_write(lambda: charge(project, 10))
    assert used(project) == 50
    ok(api("PUT", f"/quotas/{project}", {"hard": {"storage": -1}}, user="root"))
    assert ProjectQuota.objects.get(project_id=project).hard_bytes is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"hard": {"storage": 0}}, 400), ({"hard": {"storage": -2}}, 400), ({"hard": {"storage": 2**50 + 1}}, 400),
        ({"hard": {"count": 5}}, 400), ({"hard": {"storage": "5"}}, 422), ({"hard": {}}, 422), ({}, 422), ([], 422),
        ({"hard": {"storage": True}}, 422), ({"hard": {"storage": 2**70}}, 422),
    ],
)  # fmt: skip
def test_limits_that_are_none(api: Call, projects: dict[str, int], body: Any, status: int) -> None:
    code = "BAD_REQUEST" if status == 400 else "UNPROCESSABLE_ENTITY"
    assert_error(api("PUT", f"/quotas/{projects['private']}", body, user="root"), status, code)
    assert ProjectQuota.objects.get(project_id=projects["private"]).hard_bytes is None


def test_only_administrators(api: Call, projects: dict[str, int]) -> None:
    path = f"/quotas/{projects['private']}"
    for method, where, body in (
        ("GET", "/quotas", None), ("GET", path, None), ("PUT", path, {"hard": {"storage": 5}}),
    ):  # fmt: skip
        assert_error(api(method, where, body), 401, "UNAUTHORIZED")
        assert_error(api(method, where, body, user="owner"), 403, "FORBIDDEN")
    assert ProjectQuota.objects.get(project_id=projects["private"]).hard_bytes is None


def test_unknown_and_deleted(api: Call, projects: dict[str, int]) -> None:
    from haven_core.accounts.services import admin_actor, create_user

    create_user(username="admin", password="Correct1horse", is_sysadmin=True)
    delete_project(project_id=projects["public"], deleted_by=admin_actor())
    for quota_id in (projects["public"], 10**9):
        assert_error(api("GET", f"/quotas/{quota_id}", user="root"), 404, "NOT_FOUND")
        assert_error(api("PUT", f"/quotas/{quota_id}", {"hard": {"storage": 5}}, user="root"), 404, "NOT_FOUND")
    assert [quota["id"] for quota in api("GET", "/quotas", user="root").json()] == [projects["private"]]


def test_list(api: Call, users: dict[str, int], django_assert_num_queries: Any) -> None:
    made = [
        create_project(name=f"p{n}", owner_id=users["owner"], hard_bytes=limit) for n, limit in enumerate((9, 5, None))
    ]
    run_write(lambda: charge(made[1], 3))

    def ids(query: str = "") -> list[int]:
        return [quota["id"] for quota in ok(api("GET", f"/quotas?{query}", user="root")).json()]

    assert ids() == made
    assert ids("sort=hard.storage") == [made[1], made[0], made[2]]
    assert ids("sort=-used.storage")[0] == made[1]
    assert ids(f"reference=project&reference_id={made[2]}") == [made[2]]
    assert ids("reference=user") == []
    assert ids("page_size=1&page=2") == [made[1]]
    assert api("GET", "/quotas?page_size=1", user="root")["X-Total-Count"] == "3"
    assert_error(api("GET", "/quotas?page_size=101", user="root"), 422, "UNPROCESSABLE_ENTITY")
    assert_error(api("GET", "/quotas?reference_id=x", user="root"), 400, "BAD_REQUEST")
    with django_assert_num_queries(3):  # the account, the page, the total
        ids()
    for number in range(20):
        create_project(name=f"q{number}", owner_id=users["owner"])
    with django_assert_num_queries(3):
        assert len(ids("page_size=100")) == 23


def test_warning_once_and_switch(projects: dict[str, int]) -> None:
    project = projects["private"]
    ProjectQuota.objects.filter(project_id=project).update(hard_bytes=100)
    for delta in (84, 1, 10, -50, 45):
        run_write(lambda delta=delta: charge(project, delta))
    warned = OutboxEvent.objects.filter(topic="quota.warned").order_by("id").values_list("payload", flat=True)
    assert list(warned) == [
        {"project": project, "used": 85, "limit": 100},
        {"project": project, "used": 90, "limit": 100},
    ]
    with pytest.raises(QuotaExceeded):
        run_write(lambda: charge(project, 11))
    update({"quota_per_project_enable": False})
    run_write(lambda: charge(project, 11))
    assert used(project) == 101
    update({"quota_per_project_enable": True})
    with pytest.raises(QuotaExceeded):
        run_write(lambda: charge(project, 1))
    assert used(project) == 101
    assert len(warned.all()) == 2
