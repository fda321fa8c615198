"""What every list view does: read `q`, `sort` and the page, and answer with rows, X-Total-Count and Link."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.paging import Page, page_headers, requested_page
from haven_api.query import parse_conditions, parse_order
from haven_core.domain.conditions import Condition, ListQuery


def requested_list(request: Request, *conditions: Condition) -> ListQuery:
    """What a request asks of a list, and `conditions` besides. Raises BadRequest (400), ValidationError (422)."""
    page = requested_page(request)
    asked = parse_conditions(request.query_params.get("q", ""))
    order = parse_order(request.query_params.get("sort", ""))
    return ListQuery((*conditions, *asked), order, offset=page.offset, limit=page.size)


def list_response(request: Request, query: ListQuery, rows: list[Any], total: int) -> Response:
    """The rows of a page. total: rows of all pages."""
    assert query.limit is not None, "requested_list gives every page a size"
    page = Page(query.offset // query.limit + 1, query.limit)
    return Response(rows, headers=page_headers(request, page, total))
