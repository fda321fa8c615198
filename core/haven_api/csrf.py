"""Against requests that another site makes a browser send (harbor: src/server/middleware/csrf)."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse

from haven_api.errors import CODES
from haven_core.accounts import csrf
from haven_core.accounts.sessions import COOKIE as SESSION_COOKIE
from haven_core.conf import config
from haven_core.errors import envelope

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_MARK = "haven.from_own_page"


class CrossSiteGuard:
    """Harbor's rule: an unsafe request needs the token when it carries a session, and always outside /api. Haven's
    addition: a request with an Authorization header never does. Its cookies count for nothing, so a client that sends
    its password and keeps cookies works; and no form or link can add that header.

    The token goes out with every other answer, in the header that it comes back in; where the cookie that belongs to it
    isn't there yet, it is set. A view finds the cookie's value in request.COOKIES already then, for a form's field.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_AUTHORIZATION" in request.META or request.path.startswith("/static/"):
            return self._get_response(request)
        sent = request.COOKIES.get(csrf.COOKIE, "")
        is_unsafe = request.method not in _SAFE
        refusal = _refusal(request, sent) if is_unsafe else None
        needs_token = SESSION_COOKIE in request.COOKIES or not request.path.startswith("/api/")
        if refusal is not None and needs_token:
            if not request.path.startswith(("/api/", "/c/")):
                raise PermissionDenied(refusal)  # a person's: the page for 403
            return JsonResponse(envelope(CODES[403], refusal), status=403)
        request.META[_MARK] = is_unsafe and refusal is None
        cookie = request.COOKIES[csrf.COOKIE] = sent if csrf.is_genuine(sent) else csrf.new_cookie()
        response = self._get_response(request)
        if needs_token or not is_unsafe:
            response[csrf.HEADER] = csrf.token_for(cookie)
            if cookie != sent:
                response.set_cookie(
                    csrf.COOKIE, cookie, httponly=True, samesite="Strict", secure=request.is_secure(), path="/"
                )
        return response


def is_from_own_page(request: HttpRequest) -> bool:
    """Whether an unsafe request proved, by the token, that a page of this registry sent it."""
    return bool(request.META.get(_MARK))


def _refusal(request: HttpRequest, cookie: str) -> str | None:
    """What is wrong with the request, in Harbor's words."""
    token = request.META.get("HTTP_X_HARBOR_CSRF_TOKEN", "")
    if not token and request.content_type == "application/x-www-form-urlencoded":
        token = request.POST.get(csrf.FORM_FIELD, "")
    if not token:
        return "CSRF token not found in request"
    return None if csrf.matches(token, cookie) and _is_own_origin(request) else "CSRF token invalid"


def _is_own_origin(request: HttpRequest) -> bool:
    """Whether Origin, which browsers send with unsafe requests, names this registry. Other clients send none."""
    origin = request.META.get("HTTP_ORIGIN")
    own = {request.get_host(), urlsplit(config().external_url).netloc}
    return origin is None or urlsplit(origin).netloc in own - {""}
