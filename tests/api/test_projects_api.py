"""/projects, as Harbor's clients use it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from haven_core.projects import contents
from haven_core.projects.models import Project
from haven_core.projects.services import create_project
from haven_core.quotas.models import ProjectQuota

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]


def assert_error(response: Any, status: int, code: str) -> None:
    assert response.status_code == status, response.content
    assert [error["code"] for error in response.json()["errors"]] == [code]
    assert response.json()["errors"][0]["message"]
    assert response["Content-Type"].startswith("application/json")
    assert response["X-Request-ID"]


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [project["name"] for project in response.json()]


def test_create(api: Call, users: dict[str, int]) -> None:
    response = api("POST", "/projects", {"project_name": "p", "metadata": {"public": "true"}}, user="stranger")
    project = Project.objects.get()
    assert response.status_code == 201
    assert response["Location"] == f"/api/v2.0/projects/{project.pk}"
    body = api("GET", f"/projects/{project.pk}", user="stranger").json()
    assert body["metadata"] == {"public": "true"}
    assert (body["owner_name"], body["owner_id"]) == ("stranger", users["stranger"])
    assert (body["current_user_role_id"], body["current_user_role_ids"]) == (1, [1])
    assert body["repo_count"] == 0
    assert body["cve_allowlist"]["items"] == []


def test_location_by_name(api: Call, users: dict[str, int]) -> None:
    response = api("POST", "/projects", {"project_name": "p"}, user="owner", X_Resource_Name_In_Location="true")
    assert response["Location"] == "/api/v2.0/projects/p"


@pytest.mark.parametrize(
    ("body", "is_public"),
    [
        ({}, False), ({"public": True}, True), ({"public": None}, False), ({"metadata": {}}, False),
        ({"metadata": {"public": "false"}, "public": True}, False), ({"metadata": None, "public": True}, True),
    ],
)  # fmt: skip
def test_public_in_both_places(api: Call, users: dict[str, int], body: dict[str, Any], is_public: bool) -> None:
    assert api("POST", "/projects", {"project_name": "p", **body}, user="owner").status_code == 201
    assert Project.objects.get().is_public is is_public


@pytest.mark.parametrize(
    ("user", "limit", "hard_bytes"),
    [("root", 5000, 5000), ("root", -1, None), ("root", 0, None), ("root", None, None), ("owner", 5000, None)],
)
def test_storage_limit_is_for_administrators(
    api: Call, users: dict[str, int], user: str, limit: int | None, hard_bytes: int | None
) -> None:
    assert api("POST", "/projects", {"project_name": "p", "storage_limit": limit}, user=user).status_code == 201
    assert ProjectQuota.objects.get().hard_bytes == hard_bytes


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"project_name": "Upper"}, 400, "BAD_REQUEST"),
        ({"project_name": ""}, 400, "BAD_REQUEST"),
        ({"project_name": "a\n"}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "metadata": {"public": "yes"}}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "metadata": {"auto_scan": "yes"}}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "metadata": {"severity": "bad"}}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "metadata": {"retention_id": "7"}}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "storage_limit": -2}, 400, "BAD_REQUEST"),
        ({"project_name": "p", "registry_id": 1}, 400, "BAD_REQUEST"),
        ({"project_name": "a" * 256}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": 7}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": None}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p\x00"}, 422, "UNPROCESSABLE_ENTITY"),
        ({}, 422, "UNPROCESSABLE_ENTITY"),
        ([], 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p", "public": "true"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p", "storage_limit": "1"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p", "storage_limit": 2**63}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p", "metadata": {"public": True}}, 422, "UNPROCESSABLE_ENTITY"),
        ({"project_name": "p", "metadata": "public"}, 422, "UNPROCESSABLE_ENTITY"),
        ("{", 422, "UNPROCESSABLE_ENTITY"),
        ("[" * 100_000, 422, "UNPROCESSABLE_ENTITY"),
        ('{"project_name": NaN}', 422, "UNPROCESSABLE_ENTITY"),
        ('{"storage_limit": ' + "9" * 5000 + "}", 422, "UNPROCESSABLE_ENTITY"),
        ('"' + "x" * 5_000_000 + '"', 413, "REQUEST_ENTITY_TOO_LARGE"),
    ],
)
def test_bad_bodies_change_nothing(api: Call, users: dict[str, int], body: Any, status: int, code: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert_error(api("POST", "/projects", text, user="root"), status, code)
    assert not Project.objects.exists()


def test_a_body_can_not_set_what_it_should_not(api: Call, users: dict[str, int]) -> None:
    body = {"project_name": "p", "owner_id": users["root"], "project_id": 77, "deleted": True, "id": 77}
    assert api("POST", "/projects", body, user="owner").status_code == 201
    project = Project.objects.get()
    assert (project.owner_id, project.deleted_at) == (users["owner"], None)
    assert project.pk != 77


def test_only_json(client: Client, users: dict[str, int], api: Call) -> None:
    import base64

    pair = base64.b64encode(b"owner:Correct1horse").decode()
    response = client.post(
        "/api/v2.0/projects", b"project_name=p", content_type="text/plain", headers={"Authorization": f"Basic {pair}"}
    )
    assert_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert api("GET", "/projects", Accept="text/plain").status_code == 200


def test_a_taken_name(api: Call, projects: dict[str, int]) -> None:
    assert_error(api("POST", "/projects", {"project_name": "private"}, user="stranger"), 409, "CONFLICT")


def test_create_needs_somebody(api: Call, users: dict[str, int]) -> None:
    assert_error(api("POST", "/projects", {"project_name": "p"}), 401, "UNAUTHORIZED")
    assert_error(api("POST", "/projects", {"project_name": "p"}, user="owner", password="x"), 401, "UNAUTHORIZED")
    assert_error(api("POST", "/projects", {"project_name": "p", "registry_id": 1}, user="owner"), 403, "FORBIDDEN")
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ["public"]), ("stranger", ["public"]), ("guest", ["private", "public"]), ("owner", ["private", "public"]),
        ("root", ["private", "public"]),
    ],
)  # fmt: skip
def test_everyone_lists_what_they_may_see(api: Call, projects: dict[str, int], user: str, expected: list[str]) -> None:
    response = api("GET", "/projects", user=user)
    assert names(response) == expected
    assert response["X-Total-Count"] == str(len(expected))
    assert "Link" not in response


def test_a_wrong_password_reads_as_nobody(api: Call, projects: dict[str, int]) -> None:
    assert names(api("GET", "/projects", user="owner", password="wrong")) == ["public"]


def test_too_many_wrong_passwords(api: Call, projects: dict[str, int]) -> None:
    for number in range(5):
        assert names(api("GET", "/projects", user="owner", password=f"wrong{number}")) == ["public"]
    response = api("GET", "/projects", user="owner", password="wrong5")
    assert_error(response, 429, "TOO_MANY_REQUEST")
    assert int(response["Retry-After"]) >= 1


def test_paging(api: Call, users: dict[str, int]) -> None:
    for number in range(25):
        create_project(name=f"p{number:02}", owner_id=users["owner"], is_public=number % 2 == 0)
    first = api("GET", "/projects?name=p", user="owner")
    assert names(first) == [f"p{number:02}" for number in range(10)]
    assert first["X-Total-Count"] == "25"
    assert first["Link"] == '</api/v2.0/projects?name=p&page=2&page_size=10>; rel="next"'
    middle = api("GET", "/projects?page=2&page_size=10&name=p&sort=-name", user="owner")
    assert names(middle)[0] == "p14"
    assert middle["Link"] == (
        '</api/v2.0/projects?name=p&sort=-name&page=1&page_size=10>; rel="prev" , '
        '</api/v2.0/projects?name=p&sort=-name&page=3&page_size=10>; rel="next"'
    )
    assert len(names(api("GET", "/projects?page_size=0", user="owner"))) == 25
    assert len(names(api("GET", "/projects?page_size=-1&public=true", user="owner"))) == 13
    last = api("GET", "/projects?page=9", user="owner")
    assert (names(last), last["X-Total-Count"]) == ([], "25")
    assert names(api("GET", "/projects?sort=creation_time&page_size=1", user="owner")) == ["p00"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=pub", ["public"]), ("name=PUB", ["public"]), ("q=name=pub", []), ("q=name=public", ["public"]),
        ("q=name%3D~ri", ["private"]), ("q=name%253D~ri", ["private"]), ("public=true", ["public"]),
        ("public=false", ["private"]), ("q=public=false", ["private"]), ("owner=owner", ["private", "public"]),
        ("owner=root", []), ("q=owner=root", []), ("name=%25", []), ("q=unknown=1", ["private", "public"]),
        ("q=password=~x,owner__password=~p", ["private", "public"]), ("sort=-name", ["public", "private"]),
        ("sort=password,-owner__password", ["private", "public"]), ("page=0", ["private", "public"]),
        ("with_detail=false", ["private", "public"]), ("name=", ["private", "public"]),
    ],
)  # fmt: skip
def test_filters(api: Call, projects: dict[str, int], query: str, expected: list[str]) -> None:
    assert names(api("GET", f"/projects?{query}", user="root")) == expected


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("page_size=101", 422, "UNPROCESSABLE_ENTITY"), ("page=x", 422, "UNPROCESSABLE_ENTITY"),
        ("page=" + "9" * 19, 422, "UNPROCESSABLE_ENTITY"), ("page_size=1_0", 422, "UNPROCESSABLE_ENTITY"),
        ("public=maybe", 422, "UNPROCESSABLE_ENTITY"), ("q=name", 400, "BAD_REQUEST"), ("q=name=", 400, "BAD_REQUEST"),
        ("q=name=[a", 400, "BAD_REQUEST"),
    ],
)  # fmt: skip
def test_bad_queries(api: Call, projects: dict[str, int], query: str, status: int, code: str) -> None:
    assert_error(api("GET", f"/projects?{query}", user="root"), status, code)


def test_one_by_id_and_by_name(api: Call, projects: dict[str, int]) -> None:
    by_id = api("GET", f"/projects/{projects['private']}", user="guest").json()
    assert by_id == api("GET", "/projects/private", user="guest").json()
    assert (by_id["name"], by_id["current_user_role_id"]) == ("private", 3)
    assert api("GET", "/projects/public").json()["current_user_role_ids"] == []
    assert api("GET", "/projects/public", user="root").json()["current_user_role_id"] == 1


def test_a_name_of_digits(api: Call, users: dict[str, int]) -> None:
    first = create_project(name="other", owner_id=users["owner"])
    create_project(name=str(first), owner_id=users["owner"])
    path = f"/projects/{first}"
    assert api("GET", path, user="owner").json()["name"] == "other"
    assert api("GET", path, user="owner", X_Is_Resource_Name="true").json()["name"] == str(first)
    assert_error(api("GET", path, user="owner", X_Is_Resource_Name="maybe"), 422, "UNPROCESSABLE_ENTITY")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_hidden_and_missing_look_alike(api: Call, projects: dict[str, int], method: str) -> None:
    paths = [
        "/projects/private",
        f"/projects/{projects['private']}",
        "/projects/missing",
        "/projects/999999",
        "/projects/A",
    ]
    for user, status, code in [("", 401, "UNAUTHORIZED"), ("stranger", 403, "FORBIDDEN")]:
        answers = [api(method, path, user=user) for path in paths]
        for answer in answers:
            assert_error(answer, status, code)
        assert len({answer.content for answer in answers}) == 1
    assert_error(api(method, "/projects/missing", user="root"), 404, "NOT_FOUND")
    assert Project.objects.filter(deleted_at=None).count() == 2


def test_head(api: Call, projects: dict[str, int]) -> None:
    def status(query: str, user: str) -> int:
        response = api("HEAD", f"/projects{query}", user=user)
        assert response.content == b""
        return response.status_code

    assert status("?project_name=private", "stranger") == 200
    assert status("?project_name=missing", "stranger") == 404
    assert status("?project_name=private", "") == 401
    assert status("", "stranger") == 422


def test_delete(api: Call, projects: dict[str, int], users: dict[str, int]) -> None:
    assert_error(api("DELETE", "/projects/private"), 401, "UNAUTHORIZED")
    assert_error(api("DELETE", "/projects/private", user="guest"), 403, "FORBIDDEN")
    assert_error(api("DELETE", "/projects/public", user="stranger"), 403, "FORBIDDEN")
    contents.register_repository_counts(lambda ids: dict.fromkeys(ids, 3))
    assert api("GET", "/projects/private", user="owner").json()["repo_count"] == 3
    assert_error(api("DELETE", "/projects/private", user="owner"), 412, "PRECONDITION")
    assert Project.objects.filter(deleted_at=None).count() == 2
    contents.register_repository_counts(lambda _ids: {})
    assert api("DELETE", "/projects/private", user="owner").status_code == 200
    assert api("DELETE", f"/projects/{projects['public']}", user="root").status_code == 200
    assert_error(api("GET", "/projects/private", user="owner"), 403, "FORBIDDEN")
    assert api("POST", "/projects", {"project_name": "private"}, user="stranger").status_code == 201


def test_queries_do_not_grow_with_the_list(api: Call, users: dict[str, int], django_assert_num_queries) -> None:
    for number in range(2):
        create_project(name=f"p{number}", owner_id=users["owner"])
    api("GET", "/projects", user="owner")
    with django_assert_num_queries(5):  # the account, the total, the page, the roles, the allowlists
        assert len(names(api("GET", "/projects", user="owner"))) == 2
    for number in range(2, 22):
        create_project(name=f"p{number}", owner_id=users["owner"])
    with django_assert_num_queries(5):
        assert len(names(api("GET", "/projects?page_size=100", user="owner"))) == 22
