"""From a ListQuery to a queryset, by an allow-list: what is not in it can be neither filtered nor sorted by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, QuerySet

from haven_core.caches import TimedCache
from haven_core.db import backend
from haven_core.domain.conditions import Condition, ListQuery, Match
from haven_core.errors import BadRequest

MAX_VALUES = 100  # in one condition: each is a parameter or a subquery
MAX_TEXT = 4096  # characters; no column holds more, and SQLite refuses LIKE patterns beyond 50,000 bytes
BIG_TOTAL = 5_000
TOTAL_SECONDS = 5.0  # how old a total of BIG_TOTAL rows or more may be
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_TRUTH = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}

Rows = TypeVar("Rows", bound=Model)

_totals: TimedCache[tuple[str, str], int] = TimedCache(seconds=TOTAL_SECONDS, limit=1000)


def total(rows: "QuerySet[Any, Any]") -> int:
    """How many rows there are, of all pages. One statement, or none.

    Counting reads every row, so each page of a list of 100,000 would cost the database what finding a thousand pages
    does. A big total is kept for TOTAL_SECONDS in this process, by statement and parameters: nobody sees there how many
    rows of somebody else's there are. Small ones are always exact.
    """
    try:
        text, parameters = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    key = (text, repr(parameters))
    found = _totals.get(key)
    if found is None:
        found = int(backend.sql(f"SELECT count(*) FROM ({text}) AS counted", *parameters)[0][0])
        if found >= BIG_TOTAL:
            _totals.put(key, found)
    return found


def forget_totals() -> None:
    """Count anew."""
    _totals.clear()


def _text(text: str) -> str:
    if "\x00" in text or len(text) > MAX_TEXT:  # PostgreSQL can't be asked for NUL
        raise ValueError("no value of any column")
    return text


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError("no 64-bit integer")
    return int(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _boolean(text: str) -> bool:
    return _TRUTH[text.lower()]


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    BOOLEAN = "boolean"


_CONVERTERS: Mapping[Kind, Callable[[str], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.MOMENT: _moment,
    Kind.BOOLEAN: _boolean,
}


@dataclass(frozen=True, slots=True)
class Column:
    """What a key filters by. path: Django's lookup path.

    many: the column of another model that names the row, where a row has several of it; `path` is then that model's.
    replace: Harbor's words for what the column holds otherwise, as {"open": True}.
    """

    path: str
    kind: Kind = Kind.TEXT
    many: tuple[type[Model], str] | None = None
    replace: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The allow-list of one list: filter keys, sort keys (key: column), and the order nobody asked otherwise.

    `order` also ends every order that was asked for, so it must be unique for pages to be stable.
    """

    filters: Mapping[str, Column]
    sorts: Mapping[str, str]
    order: tuple[str, ...]

    def narrow(self, rows: "QuerySet[Rows, Any]", query: ListQuery) -> "QuerySet[Rows, Any]":
        """The rows that meet every condition on a known key. Raises BadRequest for a value the column can't have."""
        for condition in query.conditions:
            column = self.filters.get(condition.key)
            if column is not None:
                rows = _narrowed(rows, column, condition)
        return rows

    def ordered(self, rows: "QuerySet[Rows, Any]", query: ListQuery) -> "QuerySet[Rows, Any]":
        """By the known sort keys, then by `order`."""
        asked: dict[str, bool] = {}
        for key in query.order:
            asked.setdefault(key.removeprefix("-"), key[:1] == "-")
        known = [(self.sorts[key], descends) for key, descends in asked.items() if key in self.sorts]
        columns = [("-" if descends else "") + column for column, descends in known]
        rest = [column for column in self.order if column.removeprefix("-") not in {name for name, _ in known}]
        return rows.order_by(*columns, *rest)

    def page(self, rows: "QuerySet[Rows, Any]", query: ListQuery) -> "QuerySet[Rows, Any]":
        """The ordered rows of the asked page."""
        end = None if query.limit is None else query.offset + query.limit
        return self.ordered(rows, query)[query.offset : end]


def _narrowed(rows: "QuerySet[Rows, Any]", column: Column, condition: Condition) -> "QuerySet[Rows, Any]":
    if condition.is_fuzzy and column.kind is not Kind.TEXT:
        raise _unusable(condition.value)
    if len(condition.values) > MAX_VALUES:
        raise BadRequest(f"invalid query string value: at most {MAX_VALUES} values in a list")
    values = [_converted(column, text) for text in condition.values]
    if condition.match is Match.ALL:  # on a column a row has once, Harbor takes it and ignores it
        wanted = [{column.path: value} for value in values if column.many]
    elif condition.match is Match.ANY:
        wanted = [{f"{column.path}__in": values}] if values else []
    else:
        wanted = [{f"{column.path}__{condition.match}": values[0]}]
    for lookup in wanted:
        rows = rows.filter(**_through(column.many, lookup) if column.many else lookup)
    return rows


def _through(many: tuple[type[Model], str], lookup: dict[str, Any]) -> dict[str, Any]:
    """A condition on rows of another model, as one on the rows they name."""
    model, row = many
    return {"pk__in": model._default_manager.filter(**lookup).values(row)}


def _converted(column: Column, text: str) -> Any:
    if column.replace is not None and text in column.replace:
        return column.replace[text]
    try:
        return _CONVERTERS[column.kind](text)
    except (ValueError, KeyError, OverflowError):
        raise _unusable(text) from None


def _unusable(text: str) -> BadRequest:
    return BadRequest(f"invalid query string value: {text[:100]}")
