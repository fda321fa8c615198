"""Harbor's `q` and `sort` parameters (harbor: src/lib/q/builder.go).

    q=k=v        exact; a leading backslash takes the next character as it is
    q=k=~v       contains, in any case
    q=k=[a~b]    range, either side may be empty
    q=k={a b}    any of them
    q=k=(a b)    all of them, where a resource has many

Conditions are joined by commas and all hold. `k__gte=v` and the like are written operators. Which keys there are is the
list's to say (haven_core.db.lists.Listing); unknown ones are ignored.
"""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_plus

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from haven_core.domain.conditions import Condition, Match
from haven_core.errors import BadRequest

_INCOMPLETE = 'the query string must contain "=" and the key/value cannot be empty'
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OPERATORS = {match.value: match for match in Match if match is not Match.ALL}


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """All conditions of `q`. A key that comes twice counts the second time; an unknown operator is skipped (Harbor).

    `q` is unescaped a second time, unless that fails (Harbor: clients send both). Raises BadRequest.
    """
    if not text:
        return ()
    unescaped = text if _BROKEN_ESCAPE.search(text) else unquote_plus(text)
    found: dict[str, list[Condition]] = {}
    for part in unescaped.split(","):
        key, _, value = part.partition("=")
        if not (key and value):
            raise BadRequest(_INCOMPLETE)
        name = snake_case(key)
        found[name] = [_with_operator(condition) for condition in _pattern(name, value)]
    return tuple(condition for conditions in found.values() for condition in conditions if "__" not in condition.key)


def parse_query(text: str, known: Collection[str]) -> dict[str, Condition]:
    """The exact and fuzzy conditions on `known` keys, for a resource that is not read by a queryset.

    Raises BadRequest as parse_conditions does, and for a range, a list or an operator on a known key.
    """
    conditions = {condition.key: condition for condition in parse_conditions(text) if condition.key in known}
    for condition in conditions.values():
        if condition.match not in (Match.EXACT, Match.CONTAINS):
            raise BadRequest(f"{condition.key} takes an exact or fuzzy match")
    return conditions


def parse_order(text: str) -> tuple[str, ...]:
    """`a,-b` of `sort`, whatever the list knows of it."""
    return tuple(snake_case(key) for key in text.split(",") if key)


def parse_sort(text: str, known: Collection[str]) -> list[str]:
    """`a,-b` without the keys nothing can be sorted by."""
    return [key for key in map(snake_case, text.split(",")) if key.removeprefix("-") in known]


def snake_case(key: str) -> str:
    """Harbor takes a column's name and its Go field's: `RepositoryName` is `repository_name`."""
    return _HUMP.sub("_", key).lower()


def boolean_parameter(request: Request, name: str) -> bool | None:
    """A boolean of the query string; None when it is missing. Raises ValidationError (422)."""
    text = request.query_params.get(name)
    return None if text is None else parse_boolean(name, text)


def boolean_header(request: Request, name: str) -> bool:
    """A boolean header such as X-Is-Resource-Name; missing is false. Raises ValidationError (422)."""
    text = request.headers.get(name)
    return text is not None and parse_boolean(name, text)


def parse_boolean(name: str, text: str) -> bool:
    """go-openapi's spellings. Raises ValidationError (422)."""
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ValidationError({name: "must be true or false"})


def text_parameters(request: Request, **matches: Match) -> tuple[Condition, ...]:
    """Conditions of parameters beside `q` that are older than it: `name=x` as `name=~x`. Empty ones count as missing."""
    sent: dict[str, Any] = {name: request.query_params.get(name) for name in matches}
    return tuple(Condition(name, matches[name], (value,)) for name, value in sent.items() if value)


def _pattern(key: str, value: str) -> list[Condition]:
    inside = value[1:-1]
    if value[0] == "~":
        if len(value) == 1:
            raise _invalid(value)
        return [Condition(key, Match.CONTAINS, (value[1:],))]
    if value[0] == "[":
        return _range(key, value)
    for opening, closing, match in ("{", "}", Match.ANY), ("(", ")", Match.ALL):
        if value[0] == opening:
            if value[-1] != closing:
                raise _invalid(value)
            return [Condition(key, match, tuple(filter(None, map(_bare, inside.split(" ")))))]
    return [Condition(key, Match.EXACT, (value.removeprefix("\\"),))]


def _range(key: str, value: str) -> list[Condition]:
    low, _, high = map(str.strip, value[1:-1].partition("~"))
    if value[-1] != "]" or value.count("~") != 1 or not (low or high):
        raise _invalid(value)
    sides = ((Match.AT_LEAST, low), (Match.AT_MOST, high))
    return [Condition(key, match, (_bare(side),)) for match, side in sides if side]


def _bare(text: str) -> str:
    """A value of a range or list, without its quotes."""
    return text.strip().strip("\"'")


def _with_operator(condition: Condition) -> Condition:
    """`size__gte=5`. An operator that is not known, or with a pattern, leaves its `__` in the key and is skipped."""
    key, _, operator = condition.key.partition("__")
    if operator in _OPERATORS and condition.match is Match.EXACT:
        return Condition(key, _OPERATORS[operator], condition.values)
    return condition


def _invalid(value: str) -> BadRequest:
    return BadRequest(f"invalid query string value: {value[:100]}")
