"""Every operation of the permission table, as the administrator, with what no client sends: an error is the client's, and
changes nothing; text is text, whatever it means to a database or directory."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse

from haven_core.accounts.services import create_user
from haven_core.projects.services import create_project
from tests.api.conftest import PASSWORD
from tests.api.permissions.table import Row, rows
from tests.api.permissions.test_table import World, body_of, everything, path_of, world
from tests.api.test_projects_api import assert_error

__all__ = ["world"]

pytestmark = pytest.mark.django_db

Call = Callable[..., HttpResponse]
READS = [row for row in rows() if row.method == "GET" and row.statuses["sysadmin"] == 200]
WRITES = [row for row in rows() if row.body and row.statuses["sysadmin"] < 300]
KEYS = (
    "name", "username", "id", "project_id", "public", "sysadmin_flag", "auditor_flag", "creation_time", "op_time",
    "operation", "operation_result", "resource", "owner", "email", "entityname", "reference_id", "hard.storage", "scope",
    "level", "kind", "vendor_id", "status",
)  # fmt: skip
TEXTS = (
    "'", '"', "%27%20OR%201=1--", "%25", "_", "*)(uid=*", "%5C", "%5C%5C", ";", "%00", "%ED%A0%80", "%F0%9F%90%8B", "[a~b",
    "[~]", "[a~]", "{}", "{a", "(a b)", "~", "~%25", "-1", "9" * 30, "a" * 3000, "{" + "a " * 200 + "}", "NaN",
    "0001-01-01", "9999-99-99", "true",
)  # fmt: skip
QUERIES = (
    "page=a", "page=1.5", "page=", "page=-1", f"page={2**63}", f"page={2**63 - 1}&page_size=100", "page_size=101",
    "page_size=a", "page_size=-1", f"page_size={2**64}", "sort=", "sort=-", "sort=,,", "sort=--id", "sort=id;drop", "q=",
    "q==", "q=a", "q=,", "q=a=b,", "q=__gte=1", "q=name__in=a", "q=%00=a", f"q={'a' * 3000}=b", "sort=" + "id," * 500,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 2**64, 1.5, "x" * 70_000, "\0", [None], {"a": {}},
)  # fmt: skip


def answers(api: Call, row: Row, world: World, query: str) -> int:
    path = path_of(row, world, "sysadmin")
    return api("GET", f"{path}{'&' if '?' in path else '?'}{query}", user="sysadmin").status_code


def test_no_query_is_our_error(world: World, api: Call) -> None:
    """Each list meets some of the queries and texts, in turn: all of them are met over all lists."""
    wrong = []
    for number, row in enumerate(READS):
        queries = list(QUERIES[number % 6 :: 6])
        for text in TEXTS[number % 7 :: 7]:
            queries += [f"q={key}={text}" for key in KEYS[number % 11 :: 11]]
        for query in queries:
            status = answers(api, row, world, query)
            if status not in (200, 400, 422):
                wrong.append((row.path, query[:80], status))
    assert wrong == []


def test_pages_are_bounded_everywhere(world: World, api: Call) -> None:
    """A list is what says how many there are."""
    lists = [row for row in READS if "X-Total-Count" in api("GET", path_of(row, world, "sysadmin"), user="sysadmin")]
    assert len(lists) > 15
    wrong = [
        (row.path, query, status)
        for row in lists
        for query in ("page_size=101", "page=a", "page_size=1.5", f"page={2**63}")
        if (status := answers(api, row, world, query)) != 422
    ]
    assert wrong == []


def bodies(row: Row, world: World) -> Iterator[Any]:
    """The row's body with each of its fields replaced, then bodies that are none."""
    sent = json.loads(body_of(row, world))
    for field in sent:
        for value in VALUES:
            yield {**sent, field: value}
    yield from (None, [], [sent], "text", 7, {}, {"": sent})


def test_no_body_is_our_error(world: World, api: Call) -> None:
    before, wrong = everything(), []
    for row in WRITES:
        path = path_of(row, world, "sysadmin")
        undo = transaction.savepoint()
        for body in bodies(row, world):
            response = api(row.method, path, json.dumps(body), user="sysadmin")
            if response.status_code >= 500:
                wrong.append((row.operation, str(body)[:200], response.status_code, response.content[:200]))
            if response.status_code < 400:
                transaction.savepoint_rollback(undo)  # what it did is not the question here
                undo = transaction.savepoint()
        if everything() != before:  # of refused ones nothing is left
            wrong.append((row.operation, "changed"))
        transaction.savepoint_rollback(undo)
    assert wrong == [], "\n".join(map(str, wrong))


def test_unknown_keys_are_dropped(world: World, api: Call) -> None:
    """As in Harbor; nothing can be set by naming a column."""
    wrong = []
    for row in WRITES:
        if "/metadatas/" in row.path:
            continue  # a map of texts, which has no fields
        sent = json.loads(body_of(row, world))
        more = {"is_sysadmin": True, "is_superuser": True, "id": None, "deleted_at": None, "unknown": {"a": [1]}}
        more = {name: value for name, value in more.items() if name not in sent}
        undo = transaction.savepoint()
        response = api(row.method, path_of(row, world, "sysadmin"), {**sent, **more}, user="sysadmin")
        transaction.savepoint_rollback(undo)
        if response.status_code != row.statuses["sysadmin"]:
            wrong.append((row.operation, response.status_code, response.content))
    assert wrong == []


@pytest.mark.parametrize("text", ["{", '{"a": 1', "\ufeff{}", "[" * 10_000, "nul", '{"a": NaN}', "'"])
def test_malformed_json(world: World, api: Call, text: str) -> None:
    before = everything()
    for method, path in (("POST", "/projects"), ("PUT", "/configurations"), ("POST", "/users")):
        response = api(method, path, text.encode(), user="sysadmin")
        assert 400 <= response.status_code < 500, (text[:20], response.content)
    assert everything() == before


def test_metacharacters_are_text(users: dict[str, int], api: Call) -> None:
    for name in ("a_b", "axb", "a.b", "a-b"):
        create_project(name=name, owner_id=users["owner"])
    create_user(username="o'neil", password=PASSWORD)

    def found(path: str) -> list[str]:
        response = api("GET", path, user="root")
        assert response.status_code == 200, response.content
        return [one.get("name") or one["username"] for one in response.json()]

    assert found("/projects?q=name=~a_b") == ["a_b"]
    assert found("/projects?name=a_b") == ["a_b"]
    assert found("/projects?q=name=~%2525") == []
    assert found("/projects?q=name=~%255C") == []
    assert found("/users?q=username=o'neil") == ["o'neil"]
    assert found("/users?q=username=~'") == ["o'neil"]
    assert found("/users/search?username=%25") == []
    assert found("/users?q=username=o'%20OR%20'1'%253D'1") == []
    for text, names in (("a_b", ["a_b"]), ("%25", []), ("_", ["a_b"])):
        body = api("GET", f"/search?q={text}", user="root").json()
        assert [one["name"] for one in body["project"]] == names


@pytest.mark.parametrize(
    ("length", "status", "code"), [(255, 201, ""), (256, 422, "UNPROCESSABLE_ENTITY"), (0, 400, "BAD_REQUEST")]
)
def test_project_names_at_their_limits(users: dict[str, int], api: Call, length: int, status: int, code: str) -> None:
    response = api("POST", "/projects", {"project_name": "p" * length}, user="root")
    assert response.status_code == status
    if code:
        assert_error(response, status, code)
