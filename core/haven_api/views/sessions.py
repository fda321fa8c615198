"""/c/login, /c/log_out, /c/userExists: how a browser logs in (harbor: src/core/controllers/base.go).

CrossSiteGuard stands in front of each: the POSTs need its token.
"""

from http import HTTPStatus

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.errors import CODES
from haven_api.openapi import Decorator
from haven_api.views.base import ApiView
from haven_core.accounts import policy
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.selectors import account_exists
from haven_core.accounts.sessions import COOKIE, close_session, open_session, set_session_cookie
from haven_core.errors import BadRequest, PreconditionRefused, envelope


def _form(*names: str) -> Decorator:
    """Decorates a POST that reads texts of a form."""
    fields = {name: {"type": "string"} for name in names}
    return extend_schema(request={"application/x-www-form-urlencoded": {"type": "object", "properties": fields}})


class Login(ApiView):
    """POST /c/login."""

    authentication_classes = []
    passes_read_only = True
    is_audited = False
    parser_classes = [FormParser]

    @_form("principal", "password")
    def post(self, request: Request) -> Response:
        """Log in with `principal` and `password`. 401 without a challenge: browsers would ask in a window of theirs."""
        name, password = _field(request, "principal"), _field(request, "password")
        address = request.META.get("REMOTE_ADDR", "")
        actor = verify_basic(name, password, address=address)
        if actor is None:
            return Response(envelope(CODES[401], "Invalid user name or password"), status=HTTPStatus.UNAUTHORIZED)
        response = Response(status=HTTPStatus.OK)
        value = open_session(actor, replaces=request.COOKIES.get(COOKIE, ""), address=address)
        set_session_cookie(response, value, is_secure=request.is_secure())
        return response


class LogOut(ApiView):
    """GET /c/log_out."""

    authentication_classes = []

    def get(self, request: Request) -> Response:
        """End the session. A GET, as in Harbor; that another site can log somebody out is all it can do with it."""
        if value := request.COOKIES.get(COOKIE, ""):
            close_session(value, address=request.META.get("REMOTE_ADDR", ""))
        response = Response(status=HTTPStatus.OK)
        response.delete_cookie(COOKIE, path="/", samesite="Lax")
        return response


class UserExists(ApiView):
    """POST /c/userExists: what a registration form asks. It changes nothing."""

    passes_read_only = True
    is_audited = False
    parser_classes = [FormParser]

    @_form("target", "value")
    def post(self, request: Request) -> Response:
        """true or false, whether `value` is the `target` (username, email) of somebody."""
        if not (policy.self_registration() or self.actor.is_sysadmin):
            raise PreconditionRefused("self registration deactivated, only sysadmin user can check user existence")
        target, value = _field(request, "target"), _field(request, "value")
        if target not in ("username", "email") or not value or "\0" in value:
            raise BadRequest("target must be username or email, and value can't be empty")
        return Response(account_exists(**{target: value}))


def _field(request: Request, name: str) -> str:
    """A field of the form; '' when it is missing."""
    return str(request.data.get(name, "")) if isinstance(request.data, dict) else ""
