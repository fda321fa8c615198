"""Errors on /api, in Harbor's words: {"errors": [{"code", "message"}]}."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from haven_core.db.connections import is_unavailable
from haven_core.errors import DatabaseUnavailable, HavenError, TooManyRequests, envelope
from haven_core.tokens.challenge import BASIC_CHALLENGE

_log = logging.getLogger(__name__)

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    409: "CONFLICT",
    412: "PRECONDITION",
    413: "REQUEST_ENTITY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUEST",
}
INTERNAL = envelope("UNKNOWN", "internal server error")


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into an answer. What went wrong inside is logged and never told."""
    if isinstance(error, HavenError) and error.status < 500:
        status = error.api_status or error.status
        return Response(envelope(error.api_code, str(error)), status=status, headers=_headers(error))
    if isinstance(error, HavenError) and error.status == 503:
        return Response(envelope("UNAVAILABLE", str(error)), status=503, headers={"Retry-After": "1"})
    if isinstance(error, (exceptions.ValidationError, exceptions.ParseError)):
        # go-openapi answers what its schema refuses, unreadable JSON included, with 422
        return Response(envelope(CODES[422], _text(error.detail)), status=422)
    if isinstance(error, exceptions.APIException) and error.status_code < 500:
        status = error.status_code
        headers = {"Allow": ", ".join(context["view"].allowed_methods)} if status == 405 else None
        return Response(envelope(CODES.get(status, "UNKNOWN"), _text(error.detail)), status=status, headers=headers)
    if isinstance(error, Http404):
        return Response(envelope(CODES[404], "not found"), status=404)
    if isinstance(error, RequestDataTooBig):
        return Response(envelope(CODES[413], "the request body is too large"), status=413)
    if isinstance(error, SuspiciousOperation):
        return Response(envelope(CODES[400], "bad request"), status=400)
    request = context["request"]
    if is_unavailable(error):
        _log.error("database unavailable: %s, request %s", error, request_id(request))
        return Response(envelope("UNAVAILABLE", DatabaseUnavailable.message), status=503, headers={"Retry-After": "5"})
    _log.error("%s %s failed, request %s", request.method, request.path, request_id(request), exc_info=error)
    return Response(INTERNAL, status=500)


def unknown_path(_request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """The view of every path under /api that nothing else claims."""
    return JsonResponse(envelope(CODES[404], "path not found"), status=404)


def bad_request(_request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Django's handler400: what fails before a view, such as an impossible Host."""
    return JsonResponse(envelope(CODES[400], "bad request"), status=400)


def forbidden(_request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Django's handler403."""
    return JsonResponse(envelope(CODES[403], "forbidden"), status=403)


def server_error(_request: HttpRequest) -> JsonResponse:
    """Django's handler500: what fails around a view. Django has logged it."""
    return JsonResponse(INTERNAL, status=500)


def request_id(request: Any) -> str:
    """The id that middleware.RequestId gave the request."""
    return str(request.META.get("HTTP_X_REQUEST_ID", ""))


def _headers(error: HavenError) -> dict[str, str] | None:
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {"WWW-Authenticate": BASIC_CHALLENGE} if error.status == 401 else None


def _text(detail: Any) -> str:
    """DRF's nested details as one line: `metadata.public: must be …`."""
    if isinstance(detail, Mapping):
        parts = (f"{key}: {_text(value)}" for key, value in detail.items())
        return "; ".join(part.removeprefix("non_field_errors: ") for part in parts)
    return " ".join(_text(part) for part in detail) if isinstance(detail, (list, tuple)) else str(detail)
