"""What holds for every path of the REST API."""

import importlib
from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path, reverse

from haven_api.middleware import HarborPaths
from haven_core.projects.services import create_project

pytestmark = pytest.mark.django_db(transaction=True)

Call = Callable[..., HttpResponse]


def show(_request: HttpRequest, repository_name: str) -> HttpResponse:
    return HttpResponse(repository_name)


importlib.import_module("haven_api.urls")  # registers the converter
urlpatterns = [path("api/v2.0/projects/p/repositories/<repository:repository_name>/artifacts", show, name="artifacts")]


@pytest.mark.parametrize("path", ["//api/v2.0/ping", "/api//v2.0///ping", "/api/v2.0//ping"])
def test_slashes_are_merged(client: Client, path: str) -> None:
    assert client.get("/", PATH_INFO=path).content == b"Pong"


def test_a_merged_path_still_has_to_exist(client: Client) -> None:
    assert client.get("/api/v2.0//nothing").status_code == 404
    assert client.get("/api/v2.0/ping//").status_code == 404


@pytest.mark.parametrize("query", ["a;b", "q=%", "q=%2", "q=%zz", "page=1;page_size=5"])
def test_a_broken_query_string(client: Client, query: str) -> None:
    for target in ("/api/v2.0/ping", "/api/v2.0/projects"):
        response = client.get(target, QUERY_STRING=query)
        assert response.status_code == 400
        assert response.json() == {"errors": [{"code": "BAD_REQUEST", "message": "invalid query string"}]}
        assert response["X-Request-ID"]


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a%252Fb", "a/b"), ("a%252fb%252Fc", "a/b/c"), ("a", "a"), ("artifacts%252Fartifacts", "artifacts/artifacts"),
        ("a%252F..%252Fb", "a/../b"), ("a%2525", "a%"),
    ],
)  # fmt: skip
def test_repository_names_are_encoded_twice(client: Client, sent: str, name: str) -> None:
    assert client.get(f"/api/v2.0/projects/p/repositories/{sent}/artifacts").content == name.encode()


@override_settings(ROOT_URLCONF=__name__)
def test_or_once_where_the_server_tells_what_was_sent(client: Client) -> None:
    target = "/api/v2.0/projects/p/repositories/a%2Fb/artifacts"
    assert client.get(target).status_code == 404
    assert client.get(target, RAW_URI=f"{target}?page=1").content == b"a/b"
    twice = target.replace("%2F", "%252F")
    assert client.get(twice, RAW_URI=twice).content == b"a/b"
    assert reverse("artifacts", kwargs={"repository_name": "a/b"}) == twice


def test_other_paths_are_left_alone() -> None:
    seen: list[str] = []

    def take(request: HttpRequest) -> HttpResponse:
        seen.append(request.path_info)
        return HttpResponse()

    request = HttpRequest()
    request.path = request.path_info = "/portal//x"
    request.META |= {"QUERY_STRING": "a;b", "RAW_URI": "/portal/%2Fx"}
    assert HarborPaths(take)(request).status_code == 200
    assert seen == ["/portal//x"]


def test_ranges_and_lists_of_projects(api: Call, users: dict[str, int]) -> None:
    ids = [create_project(name=name, owner_id=users["owner"]) for name in ("a", "b", "c")]

    def names(query: str) -> list[str]:
        response = api("GET", f"/projects?q={query}", user="root")
        assert response.status_code == 200, response.content
        return [project["name"] for project in response.json()]

    assert names(f"project_id=[{ids[1]}~]") == ["b", "c"]
    assert names("name={a c x}") == ["a", "c"]
    assert names(f"owner_id={users['owner']},name__lt=b") == ["a"]
    assert names("creation_time=[~2001-01-01T00:00:00]") == []
    for bad in ("project_id=a", "public=~t", "name=[a", "name=", "name=a,"):
        response = api("GET", f"/projects?q={bad}", user="root")
        assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "BAD_REQUEST")


def test_pages_beyond_the_last(api: Call, projects: dict[str, int]) -> None:
    for page in ("7", "999999999999", str(2**63 - 1)):
        response = api("GET", f"/projects?page={page}", user="root")
        assert (response.status_code, response.json(), response["X-Total-Count"]) == (200, [], "2")
