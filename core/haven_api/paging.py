"""Harbor's `page` and `page_size`, X-Total-Count and Link."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

DEFAULT_SIZE, MAX_SIZE = 10, 100
UNLIMITED_SIZE = 1000  # what `page_size=0` or less gets, where Harbor would give everything
MAX_NUMBER = 10**12  # a page nobody has: what comes before it still fits the database's 64 bits
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page, counted from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.number - 1) * self.size


def requested_page(request: Request) -> Page:
    """The page a request asks for. Raises ValidationError (422) for no number, or a size over MAX_SIZE."""
    number, size = _number(request, "page", 1), _number(request, "page_size", DEFAULT_SIZE)
    if size > MAX_SIZE:
        raise ValidationError({"page_size": f"should be less than or equal to {MAX_SIZE}"})
    return Page(min(max(number, 1), MAX_NUMBER), size if size > 0 else UNLIMITED_SIZE)


def page_headers(request: Request, page: Page, total: int) -> dict[str, str]:
    """X-Total-Count, and Link to the pages beside this one, joined the way Harbor does (` , `)."""
    links = []
    if page.number > 1:
        links.append(f'<{_url(request, page.number - 1, page.size)}>; rel="prev"')
    if page.offset + page.size < total:
        links.append(f'<{_url(request, page.number + 1, page.size)}>; rel="next"')
    return {"X-Total-Count": str(total)} | ({"Link": " , ".join(links)} if links else {})


def _url(request: Request, number: int, size: int) -> str:
    kept = [(key, value) for key, values in request.query_params.lists() for value in values]
    fields = [(key, value) for key, value in kept if key not in ("page", "page_size")]
    asked_size = size if size <= MAX_SIZE else 0
    return f"{request.path}?{urlencode([*fields, ('page', number), ('page_size', asked_size)], safe='=~,')}"


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValidationError({name: "must be a number"})
    return int(text)
