"""The first page: what this is, and the commands that use it. It asks the database nothing."""

from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

_STATIC = Path(__file__).parent / "static" / "haven_portal"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """GET /: in Chinese or English, as the browser prefers."""
    external = urlsplit(settings.HAVEN.external_url).netloc
    context = {"registry": external or request.get_host(), "is_chinese": (get_language() or "").startswith("zh")}
    response = render(request, "haven_portal/index.html", context)
    response["Content-Security-Policy"] = CSP
    return response


@require_safe
def style(_: HttpRequest) -> FileResponse:
    """GET /static/haven.css."""
    return _asset("haven.css", "text/css; charset=utf-8")


@require_safe
def theme(_: HttpRequest) -> FileResponse:
    """GET /static/theme.js: the theme of the system, before the first paint."""
    return _asset("theme.js", "text/javascript; charset=utf-8")


def _asset(name: str, content_type: str) -> FileResponse:
    response = FileResponse((_STATIC / name).open("rb"), content_type=content_type)
    response["Cache-Control"] = "public, max-age=300"
    return response
