"""Every list takes the same number of SQL statements for 2 rows and for 100: those of list_statements.csv, for a system
administrator whose account and caches are warm. A number may only change with a reason."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from haven_core.projects.contents import register_repository_counts
from haven_registry.selectors import count_repositories
from tests.api.conftest import Call
from tests.api.filled_lists import MANY, fill
from tests.api.permissions.table import rows
from tests.api.permissions.test_table import World, path_of, world
from tests.contract.facts import BASE

__all__ = ["world"]

BASELINE = Path(__file__).with_name("list_statements.csv")
FEW = 2


def baseline() -> dict[str, int]:
    """Statements by path."""
    with BASELINE.open() as file:
        return {row["path"]: int(row["statements"]) for row in csv.DictReader(file)}


@pytest.fixture
def names(transactional_db: None) -> Mapping[str, str]:
    """What the capital words in the paths of the baseline are."""
    register_repository_counts(count_repositories)
    return fill()


def test_statements_do_not_grow_with_the_rows(api: Call, names: Mapping[str, str]) -> None:
    found = {}
    for path in baseline():
        filled = re.sub("|".join(names), lambda word: names[word[0]], path)
        paged = f"{filled}{'&' if '?' in path else '?'}page_size="
        assert api("GET", f"{paged}{FEW}", user="root").status_code == 200, path
        counts = []
        for size in (FEW, MANY):
            # of two, since what is kept for some seconds is read again now and then
            counts.append(min(_ask(api, f"{paged}{size}") for _ in range(2)))
        assert counts == [(counts[0][0], FEW), (counts[0][0], MANY)], path
        found[path] = counts[0][0]
    assert found == baseline()


def _ask(api: Call, path: str) -> tuple[int, int]:
    """Statements and rows."""
    with CaptureQueriesContext(connection) as captured:
        listed = api("GET", path, user="root").json()
    return len(captured), len(listed)


@pytest.mark.django_db
def test_every_list_is_in_the_baseline(api: Call, world: World) -> None:
    """A list is what says how many there are."""
    reads = [row for row in rows() if row.method == "GET" and row.statuses["sysadmin"] == 200]
    paths = {path_of(row, world, "sysadmin") for row in reads}
    lists = {_route(path) for path in paths if "X-Total-Count" in api("GET", path, user="sysadmin")}
    assert len(lists) > 25
    assert lists == {_route(re.sub(r"\b(PROJECT|ROOT|POLICY|RUN)\b", "1", path)) for path in baseline()}


def _route(path: str) -> str:
    return resolve(BASE + path.partition("?")[0]).route
