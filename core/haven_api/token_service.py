"""The token service: GET and POST /service/token (distribution: docs/spec/auth/token and oauth).

A bare WSGI callable, mounted in the registry's process beside /v2: docker asks here before almost every request.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from haven_core.accounts.basic import parse_basic
from haven_core.accounts.credentials import verify_basic
from haven_core.conf import config
from haven_core.db.connections import on_live_connection
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.errors import BadRequest, DatabaseUnavailable, HavenError, TooManyRequests, Unauthorized, envelope
from haven_core.tokens.challenge import BASIC_CHALLENGE
from haven_core.tokens.grants import issue_token
from haven_core.tokens.scopes import parse_scopes
from haven_core.tokens.service import grant

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Parameters = dict[str, list[str]]


class _MethodNotAllowedError(HavenError):
    status = 405
    oci_code = "UNSUPPORTED"
    message = "use GET or POST"


class _BodyTooLargeError(HavenError):
    status = 413
    oci_code = "SIZE_INVALID"
    message = "the form is larger than 64 KiB"


_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    405: "Method Not Allowed",
    413: "Content Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def token_application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request. Never 403 and never an error for what is not granted; wrong credentials are 401, so that a
    login with a typo fails. `service` is taken for ours whatever it says: tokens name their audience themselves.

    Like Harbor, nobody asking for nothing is 401: an anonymous token for /v2/ would make a login look done.
    """
    try:
        is_get = environ["REQUEST_METHOD"] == "GET"  # the body of a POST can be read once
        status, headers, body = 200, [], on_live_connection(lambda: _answer(environ), is_repeatable=is_get)
    except HavenError as error:
        status, headers, body = error.status, _error_headers(error), dict(envelope(error.oci_code, str(error)))
    payload = json.dumps(body, separators=(",", ":")).encode()
    headers += [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Length", str(len(payload))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [payload]  # a body after HEAD would be the next answer


def _answer(environ: Environ) -> dict[str, Any]:
    method = environ["REQUEST_METHOD"]
    if method == "GET":
        parameters = _fields(environ.get("QUERY_STRING", ""))
        actor = _basic_actor(environ, has_scope="scope" in parameters)
    elif method == "POST":
        parameters = _fields(_read_form(environ))
        actor = _form_actor(environ, parameters)
    else:
        raise _MethodNotAllowedError
    granted = grant(actor, parse_scopes(parameters.get("scope", [])))
    issued = issue_token(actor, granted)
    return {
        "token": issued.token,
        "access_token": issued.token,  # what OAuth 2 calls it; some clients read only one of the two
        "expires_in": issued.expires_in,
        "issued_at": issued.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scope": " ".join(str(scope) for scope in granted if scope.actions),
    }


def _basic_actor(environ: Environ, *, has_scope: bool) -> Actor:
    header = environ.get("HTTP_AUTHORIZATION", "")
    if not header:
        if not has_scope:
            raise Unauthorized
        return ANONYMOUS
    credentials = parse_basic(header)
    if credentials is None:
        raise Unauthorized("the Authorization header holds no Basic credentials")
    return _login(environ, *credentials)


def _form_actor(environ: Environ, parameters: Parameters) -> Actor:
    kind = _first(parameters, "grant_type")
    if kind == "password":
        return _login(environ, _first(parameters, "username"), _first(parameters, "password"))
    if kind == "refresh_token":
        raise Unauthorized("no such refresh token; log in with name and password")  # none is ever issued
    raise BadRequest("grant_type must be password")


def _login(environ: Environ, username: str, password: str) -> Actor:
    actor = verify_basic(username, password, address=_client_address(environ), takes_tokens=True)
    if actor is None:
        raise Unauthorized("invalid user name or password")
    return actor


def _client_address(environ: Environ) -> str:
    """What the gateway says (it overwrites X-Real-IP), else the peer's: failed logins are counted by it."""
    told = environ.get("HTTP_X_REAL_IP") if config().accel_redirect else None
    return told or str(environ.get("REMOTE_ADDR", ""))


def _read_form(environ: Environ) -> str:
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _BodyTooLargeError
    body = environ["wsgi.input"].read(int(declared) if declared.isdecimal() else MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise _BodyTooLargeError
    try:
        return str(body.decode())
    except UnicodeDecodeError:
        raise BadRequest("the form is not UTF-8") from None


def _fields(text: str) -> Parameters:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("too many parameters") from None


def _first(parameters: Parameters, name: str) -> str:
    return parameters.get(name, [""])[0]


def _error_headers(error: HavenError) -> list[tuple[str, str]]:
    if isinstance(error, TooManyRequests):
        return [("Retry-After", str(error.retry_after_seconds))]
    if isinstance(error, DatabaseUnavailable):
        return [("Retry-After", "5")]
    if isinstance(error, _MethodNotAllowedError):
        return [("Allow", "GET, POST")]
    return [("WWW-Authenticate", BASIC_CHALLENGE)] if error.status == 401 else []
