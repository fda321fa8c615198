"""Which of Harbor's operations Haven's URLs answer, and which paths are Haven's own. Needs Django set up."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.urls import Resolver404, get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from tests.contract.facts import BASE, Operation, operations

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SAMPLES = ("1", "x", "sha256:" + "a" * 64)  # a converter takes one of them
_PARAMETER = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class OwnPath:
    """A path of Haven that Harbor does not have."""

    path: str
    methods: tuple[str, ...]
    meaning: str


@cache
def answered() -> frozenset[str]:
    """The operationIds that a view has a method for."""
    return frozenset(each.id for each in operations().values() if _view_of(each) is not None)


def own_paths() -> list[OwnPath]:
    """Paths below BASE that belong to no operation, or have methods beside Harbor's."""
    claimed: dict[str, set[str]] = {}
    for each in operations().values():
        if (found := _view_of(each)) is not None:
            claimed.setdefault(found[0], set()).add(each.method)
    own = []
    for route, view in _routes(get_resolver().url_patterns, ""):
        methods = tuple(method for method in _methods(view) if method not in claimed.get(route, ()))
        if methods and route.startswith(BASE.strip("/") + "/"):
            meaning = (view.__doc__ or "").partition("\n\n")[0].strip()
            own.append(OwnPath("/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route), methods, " ".join(meaning.split())))
    return sorted(own, key=lambda each: each.path)


def _view_of(operation: Operation) -> tuple[str, Any] | None:
    """The route and view class that answer an operation; None where nothing does."""
    for sample, path in itertools.product(_SAMPLES, (operation.path, operation.path.rstrip("/"))):
        try:
            match = get_resolver().resolve(BASE + _PARAMETER.sub(sample, path))
        except Resolver404:
            continue
        view = getattr(match.func, "view_class", None)
        if view and len(match.kwargs) == operation.path.count("{") and operation.method in _methods(view):
            return match.route, view
    return None


def _methods(view: Any) -> tuple[str, ...]:
    return tuple(method for method in METHODS if hasattr(view, method.lower()))


def _routes(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, Any]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, route)
        elif (view := getattr(each.callback, "view_class", None)) is not None:
            yield route, view
