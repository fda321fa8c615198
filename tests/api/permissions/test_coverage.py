"""Every method of every path of the REST API has a row in a table."""

import re

from django.urls import get_resolver, resolve

from tests.api.permissions.table import rows
from tests.contract.facts import BASE
from tests.contract.routes import _methods, _routes


def in_the_tables() -> set[tuple[str, str]]:
    """Method and route of each row, by asking the URLs."""
    found = set()
    for row in rows():
        path = re.sub(r"\{\w+\}", "1", row.path.partition("?")[0])
        found.add((row.method, below_base(resolve(BASE + path).route)))
    return found


def below_base(route: str) -> str:
    return route.removeprefix(f"{BASE.strip('/')}/")


def test_every_operation_has_a_row() -> None:
    routes = {
        (method, below_base(route))
        for route, view in _routes(get_resolver().url_patterns, "")
        if route.startswith(BASE.strip("/"))
        for method in _methods(view)
    }
    assert len(routes) > 100
    tables = in_the_tables()
    assert tables == routes
