"""Pages about projects."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from haven_core.accounts.sessions import COOKIE, find_session
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.conditions import ListQuery
from haven_core.projects.selectors import list_projects
from haven_portal.views import CSP

_ROWS = 25


@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    """GET /projects/: the projects that the caller may see, by name; `page` counts from 1."""
    asked = request.GET.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    offset = max(page - 1, 0) * _ROWS
    found, total = list_projects(_caller(request), ListQuery(order=("name",), offset=offset, limit=_ROWS))
    context = {
        "projects": found,
        "next_page": max(page, 1) + 1 if offset + len(found) < total and found else None,
        "is_chinese": (get_language() or "").startswith("zh"),
    }
    response = render(request, "haven_portal/projects.html", context)
    response["Content-Security-Policy"] = CSP
    response["Cache-Control"] = "no-store"
    return response


def _caller(request: HttpRequest) -> Actor:
    """Whose session it is; one that must change its password first sees what nobody sees."""
    session = find_session(request.COOKIES.get(COOKIE, ""))
    return session.actor if session and not session.must_change_password else ANONYMOUS
