"""Who calls the REST API."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from haven_core.accounts.basic import parse_basic
from haven_core.accounts.credentials import verify_basic
from haven_core.accounts.sessions import COOKIE, LiveSession, find_session
from haven_core.domain.actor import Actor


class BasicAuthentication(BaseAuthentication):
    """`Authorization: Basic`, with a password or a personal access token. As in Harbor a wrong one is no error by itself:
    the request goes on as nobody's, so that public things still answer, and 401 comes from whatever needs somebody, each
    write among them.

    Raises TooManyRequests after too many wrong ones.
    """

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        credentials = parse_basic(request.META.get("HTTP_AUTHORIZATION", ""))
        if credentials is None:
            return None
        actor = verify_basic(*credentials, address=request.META.get("REMOTE_ADDR", ""), takes_tokens=True)
        return (actor, None) if actor else None


class SessionAuthentication(BaseAuthentication):
    """The cookie `sid` of a browser that logged in. Not looked at beside an Authorization header: a client that sends its
    password and keeps cookies anyway is its password's (harbor: such clients fail on their second request)."""

    def authenticate(self, request: Request) -> tuple[Actor, LiveSession] | None:
        value = request.COOKIES.get(COOKIE, "")
        if not value or "HTTP_AUTHORIZATION" in request.META:
            return None
        renews = request.META.get("HTTP_X_HARBOR_NO_SESSION_RENEWAL", "").lower() != "true"
        session = find_session(value, renews=renews)
        return (session.actor, session) if session else None
