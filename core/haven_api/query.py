"""Harbor's `q` and `sort` parameters (harbor: src/lib/q/builder.go), as far as a resource lists its keys."""

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import unquote_plus

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from haven_core.errors import BadRequest


class Condition(NamedTuple):
    """`k=v`, or with is_fuzzy `k=~v`: contains."""

    value: str
    is_fuzzy: bool


def parse_query(text: str, known: Collection[str]) -> dict[str, Condition]:
    """`k=v,k=~v` to the conditions on known keys; unknown ones are ignored, as Harbor does.

    `q` is unescaped a second time, also as Harbor does. Raises BadRequest for a part without key, value or `=`, and for
    a range or a list, which no resource here knows.
    """
    conditions: dict[str, Condition] = {}
    for part in filter(None, unquote_plus(text).split(",")):
        key, equals, value = part.partition("=")
        fuzzy = value.startswith("~")
        value = value.removeprefix("~")
        if not (equals and key and value):
            raise BadRequest('the query string must contain "=" and the key/value cannot be empty')
        if key not in known:
            continue
        if value[0] in "[{(":
            raise BadRequest(f"{key} takes an exact or fuzzy match")
        conditions[key] = Condition(value.removeprefix("\\").strip("\"'"), fuzzy)
    return conditions


def parse_sort(text: str, known: Collection[str]) -> list[str]:
    """`a,-b` without the keys nothing can be sorted by."""
    return [key for key in text.split(",") if key.removeprefix("-") in known]


def boolean_parameter(request: Request, name: str) -> bool | None:
    """A boolean of the query string; None when it is missing. Raises ValidationError (422)."""
    text = request.query_params.get(name)
    return None if text is None else parse_boolean(name, text)


def parse_boolean(name: str, text: str) -> bool:
    """go-openapi's spellings. Raises ValidationError (422)."""
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ValidationError({name: "must be true or false"})
