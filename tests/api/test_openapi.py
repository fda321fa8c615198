"""Haven's own OpenAPI document and its page."""

import re

from django.test import Client
from django.urls import resolve
from drf_spectacular.validation import validate_schema

from haven_api.urls import urlpatterns
from tests.api.test_list_statements import baseline
from tests.contract.facts import BASE


def document(client: Client) -> dict:
    response = client.get("/api/v2.0/openapi.json")
    assert response.status_code == 200
    return response.json()


def test_it_is_one_and_touches_no_database(client: Client) -> None:
    validate_schema(document(client))
    assert document(client)["info"]["title"] == "Haven"


def test_every_rest_path_is_in_it(client: Client) -> None:
    paths = document(client)["paths"]
    for pattern in urlpatterns:
        view = getattr(pattern.callback, "cls", None)
        if view is not None and view.schema is not None:
            path = "/api/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
            methods = {method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}
            assert set(paths[path]) == methods, path


def test_no_two_operations_have_one_name(client: Client) -> None:
    names = [operation["operationId"] for path in document(client)["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_lists_and_bodies_are_described(client: Client) -> None:
    found = document(client)
    projects = found["paths"]["/api/v2.0/projects"]
    assert [parameter["name"] for parameter in projects["get"]["parameters"]] == [
        "name", "owner", "page", "page_size", "public", "q", "sort",
    ]  # fmt: skip
    assert projects["post"]["security"] == [{"basic": []}]
    body = found["components"]["schemas"]["ProjectBody"]
    assert (body["required"], body["properties"]["project_name"]["maxLength"]) == (["project_name"], 255)


def test_every_body_says_what_it_is(client: Client) -> None:
    """What calls the API by this document, as schemathesis does, gets beyond the first check."""
    undescribed = [
        f"{method} {path}"
        for path, operations in document(client)["paths"].items()
        for method, operation in operations.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if not content.get("schema")
    ]
    assert undescribed == []


def test_every_list_has_pages(client: Client) -> None:
    found, wrong = document(client)["paths"], []
    for path in baseline():
        route = resolve(BASE + re.sub(r"[A-Z]{3,}", "1", path).partition("?")[0]).route
        described = found["/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)]["get"].get("parameters", [])
        if not {"page", "page_size"} <= {parameter["name"] for parameter in described}:
            wrong.append(path)
    assert wrong == []


def test_the_page_shows_all_and_loads_nothing(client: Client) -> None:
    page = client.get("/api/v2.0/reference").content.decode()
    for path in document(client)["paths"]:
        assert f"<code>{path}</code>" in page
    assert not re.search(r"<script|<link|<img|@import|url\(|src=|//", page.replace("<!doctype", ""))
