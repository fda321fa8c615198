"""/labels."""

from typing import Any

import pytest
from django.utils import timezone

from haven_core.domain.roles import Role
from haven_core.labels.models import Label
from haven_core.projects.models import ProjectMember
from tests.api.settings.support import Call, assert_error, audit_log, ok

pytestmark = pytest.mark.django_db(transaction=True)


def make(api: Call, name: str, project_id: int | None = None, user: str = "root") -> int:
    body = {"name": name, "description": "why", "color": "#ff0000", "scope": "g"}
    if project_id is not None:
        body |= {"scope": "p", "project_id": project_id}
    return int(ok(api("POST", "/labels", body, user=user), 201)["Location"].rpartition("/")[2])


def test_life_of_a_global_label(api: Call, users: dict[str, int]) -> None:
    label_id = make(api, "prod")
    shown = ok(api("GET", f"/labels/{label_id}")).json()
    assert shown.pop("creation_time") == shown.pop("update_time")
    assert shown == {
        "id": label_id, "name": "prod", "description": "why", "color": "#ff0000", "scope": "g", "project_id": 0,
    }  # fmt: skip
    ok(api("PUT", f"/labels/{label_id}", {"name": "live", "color": "#00ff00", "scope": "p"}, user="root"))
    shown = ok(api("GET", f"/labels/{label_id}")).json()
    assert (shown["name"], shown["description"], shown["color"], shown["scope"]) == ("live", "", "#00ff00", "g")
    ok(api("DELETE", f"/labels/{label_id}", user="root"))
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert_error(api(method, f"/labels/{label_id}", body, user="root"), 404, "NOT_FOUND")
    lines = [(line.operation, line.resource, line.is_success) for line in audit_log()]
    assert lines[:3] == [("create", "prod", True), ("update", "prod", True), ("delete", "live", True)]


def test_names_are_unique_where_they_belong(api: Call, projects: dict[str, int]) -> None:
    make(api, "prod")
    make(api, "prod", projects["private"], "owner")
    other = make(api, "test", projects["private"], "owner")
    make(api, "prod", projects["public"], "owner")
    again = {"name": "prod", "scope": "p", "project_id": projects["private"]}
    assert_error(api("POST", "/labels", again, user="owner"), 409, "CONFLICT")
    assert_error(api("POST", "/labels", {"name": "prod", "scope": "g"}, user="root"), 409, "CONFLICT")
    assert_error(api("PUT", f"/labels/{other}", {"name": "prod"}, user="owner"), 409, "CONFLICT")
    assert Label.objects.count() == 4
    assert Label.objects.get(id=other).name == "test"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "g"}, 400), ({"name": " ", "scope": "g"}, 400), ({"name": "x"}, 400), ({"name": "x", "scope": "q"}, 400),
        ({"name": "x" * 129, "scope": "g"}, 400), ({"name": "x", "scope": "p"}, 400),
        ({"name": "x", "scope": "p", "project_id": 10**9}, 404), ({"name": 5, "scope": "g"}, 422), ([], 422),
        ({"name": "x", "scope": "g", "color": "c" * 17}, 400), ({"name": "a\0b", "scope": "g"}, 422),
    ],
)  # fmt: skip
def test_what_is_no_label(api: Call, users: dict[str, int], body: Any, status: int) -> None:
    assert api("POST", "/labels", body, user="root").status_code == status
    assert not Label.objects.exists()


def test_rights(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    label_id = make(api, "prod")
    mine = make(api, "mine", projects["private"], "owner")
    ProjectMember.objects.create(
        project_id=projects["private"], user_id=users["stranger"], role=Role.LIMITED_GUEST, created_at=timezone.now()
    )
    body = {"name": "x", "scope": "g"}
    assert_error(api("POST", "/labels", body), 401, "UNAUTHORIZED")
    assert_error(api("POST", "/labels", body, user="owner"), 403, "FORBIDDEN")
    for method in ("PUT", "DELETE"):
        assert_error(api(method, f"/labels/{label_id}", body), 401, "UNAUTHORIZED")
        assert_error(api(method, f"/labels/{label_id}", body, user="owner"), 403, "FORBIDDEN")
        assert_error(api(method, f"/labels/{mine}", body, user="guest"), 403, "FORBIDDEN")
    assert_error(
        api("POST", "/labels", body | {"scope": "p", "project_id": projects["private"]}, user="guest"), 403, "FORBIDDEN"
    )
    ok(api("GET", f"/labels/{mine}", user="guest"))
    assert_error(api("GET", f"/labels/{mine}", user="stranger"), 403, "FORBIDDEN")  # a limited guest sees none
    assert_error(api("GET", f"/labels/{mine}"), 404, "NOT_FOUND")
    listing = f"/labels?scope=p&project_id={projects['private']}"
    assert_error(api("GET", listing), 401, "UNAUTHORIZED")
    assert_error(api("GET", listing, user="stranger"), 403, "FORBIDDEN")
    assert [label["name"] for label in ok(api("GET", listing, user="guest")).json()] == ["mine"]
    assert set(Label.objects.values_list("name", flat=True)) == {"prod", "mine"}


def test_list(api: Call, projects: dict[str, int], django_assert_num_queries: Any) -> None:
    for name in ("beta", "alpha", "gamma"):
        make(api, name)
    make(api, "inside", projects["public"], "owner")

    def names(query: str) -> list[str]:
        return [label["name"] for label in ok(api("GET", f"/labels?{query}")).json()]

    assert names("scope=g") == ["alpha", "beta", "gamma"]
    assert names("scope=g&sort=-name&page_size=2") == ["gamma", "beta"]
    assert names("scope=g&name=ET") == ["beta"]
    assert names("q=scope%3Dg,name%3D~amm") == ["gamma"]
    assert names(f"scope=p&project_id={projects['public']}") == ["inside"]
    assert api("GET", "/labels?scope=g&page_size=1")["X-Total-Count"] == "3"
    with django_assert_num_queries(2):
        names("scope=g")
    for query, status in (
        ("", 400), ("scope=x", 400), ("scope=p", 400), ("scope=p&project_id=0", 400), ("scope=p&project_id=x", 422),
    ):  # fmt: skip
        assert api("GET", f"/labels?{query}", user="root").status_code == status, query
