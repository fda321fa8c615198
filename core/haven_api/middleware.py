"""Django middleware of the core process."""

import re
import uuid
from collections.abc import Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, JsonResponse

from haven_core.errors import envelope
from haven_core.visibility import make_gone

_BROKEN_QUERY = re.compile(r";|%(?![0-9A-Fa-f]{2})")  # what Go's url.ParseQuery refuses
_ENCODED_SLASH = re.compile(r"%2f", re.IGNORECASE)
_SLASHES = re.compile(r"/{2,}")
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")  # it ends in logs and in a header


class RequestId:
    """Gives each request an id, the client's X-Request-Id when it is sane, and echoes it as X-Request-ID (Harbor)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if SANE_REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
        request.META["HTTP_X_REQUEST_ID"] = request_id
        response = self._get_response(request)
        response["X-Request-ID"] = request_id
        return response


class GoneForEverybody:
    """Answers a request that took something away when nobody can see it any more."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._get_response(request)
        finally:
            make_gone()


class HarborPaths:
    """Reads paths and query strings below /api as Harbor does (its middleware mergeslash and url).

    `//` is one slash. A slash that was sent encoded is part of a name, not of the path; WSGI has decoded it, so the path
    is read again from what was sent, where the server tells. A broken query string is 400.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = _SLASHES.sub("/", request.path_info)
        if not path.startswith("/api/"):
            return self._get_response(request)
        if _BROKEN_QUERY.search(request.META.get("QUERY_STRING", "")):
            return JsonResponse(envelope("BAD_REQUEST", "invalid query string"), status=400)
        sent = request.META.get("RAW_URI", "").partition("?")[0]
        if sent.startswith("/") and _ENCODED_SLASH.search(sent):
            path = _SLASHES.sub("/", unquote(_ENCODED_SLASH.sub("%252F", sent)))
        request.path = request.path_info = path
        return self._get_response(request)
