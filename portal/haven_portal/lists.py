"""What a page with a list was asked for, out of its address: filter, order, page, rows per page. Everything is in the
address, so that Back, a bookmark and a colleague see the same list."""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.http import HttpRequest, QueryDict

from haven_core.domain.conditions import Condition, ListQuery, Match

PER_PAGE = (25, 50, 100)
PER_COOKIE = "haven_per"  # the size somebody chose last, on every list
_MAX_PAGE = 100_000


@dataclass(slots=True)
class ListState:
    """The state of one list. total is set by who read the rows; sort: a key, with '-' first for descending."""

    params: QueryDict
    sort: str
    page: int
    per: int
    sorts: Collection[str]
    total: int = 0
    filters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, request: HttpRequest, *, sorts: Collection[str], default: str = "", filters: Collection[str] = ()
    ) -> "ListState":
        """Read it; what can't be understood is as if it were not there."""
        sort = request.GET.get("sort", default)
        if sort.removeprefix("-") not in sorts:
            sort = default
        per = _number(request.GET.get("per", request.COOKIES.get(PER_COOKIE, "")))
        return cls(
            params=request.GET,
            sort=sort,
            page=min(max(_number(request.GET.get("page", "")), 1), _MAX_PAGE),
            per=per if per in PER_PAGE else PER_PAGE[0],
            sorts=sorts,
            filters={
                key: request.GET[key].strip()[:255].replace("\0", "")
                for key in filters
                if request.GET.get(key, "").strip()
            },
        )

    def query(self, *conditions: Condition) -> ListQuery:
        """For a selector."""
        order = (self.sort,) if self.sort else ()
        return ListQuery(conditions, order=order, offset=(self.page - 1) * self.per, limit=self.per)

    def contains(self, key: str, column: str) -> tuple[Condition, ...]:
        """`column` contains what the filter `key` says; nothing when it says nothing."""
        return (Condition(column, Match.CONTAINS, (self.filters[key],)),) if key in self.filters else ()

    def equals(self, key: str, column: str) -> tuple[Condition, ...]:
        """`column` is what the filter `key` says."""
        return (Condition(column, Match.EXACT, (self.filters[key],)),) if key in self.filters else ()

    def url(self, **changes: object) -> str:
        """The same list with other parameters; None and '' leave one out. Never keeps an open dialog."""
        params = self.params.copy()
        for key, value in {"dialog": None, **changes}.items():
            params.pop(key, None)
            if value not in (None, ""):
                params[key] = str(value)
        return "?" + params.urlencode()

    @property
    def is_filtered(self) -> bool:
        """Whether something narrows the list."""
        return bool(self.filters)

    @property
    def cleared_url(self) -> str:
        """The list without its filters."""
        return self.url(page=None, **dict.fromkeys(self.filters))

    @property
    def first(self) -> int:
        """Number of the first row shown."""
        return min((self.page - 1) * self.per + 1, self.total)

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return min(self.page * self.per, self.total)

    @property
    def previous_url(self) -> str:
        """The page before, '' on the first."""
        return self.url(page=self.page - 1 if self.page > 2 else None) if self.page > 1 else ""

    @property
    def next_url(self) -> str:
        """The page after, '' on the last."""
        return self.url(page=self.page + 1) if self.page * self.per < self.total else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
