"""What a list is narrowed to and ordered by, as values: who asks says them, who reads the rows knows the columns."""

from dataclasses import dataclass
from enum import StrEnum


class Match(StrEnum):
    """How a condition compares. CONTAINS looks at no case. ANY and ALL take several values, the others one."""

    EXACT = "exact"
    CONTAINS = "icontains"
    AT_LEAST = "gte"
    AT_MOST = "lte"
    MORE = "gt"
    LESS = "lt"
    ANY = "in"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a key with what the client wrote, still as text."""

    key: str
    match: Match
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        """The first value: the only one but for ANY and ALL."""
        return self.values[0]

    @property
    def is_fuzzy(self) -> bool:
        """Whether it is `k=~v`."""
        return self.match is Match.CONTAINS


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a client asks of a list: all conditions hold; `order` keys have '-' first for descending.

    offset, limit: in rows. Keys the list does not know are ignored by it (Harbor).
    """

    conditions: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    offset: int = 0
    limit: int | None = None
