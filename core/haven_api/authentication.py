"""Who calls the REST API."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from haven_core.accounts.basic import parse_basic
from haven_core.accounts.credentials import verify_basic
from haven_core.domain.actor import Actor


class BasicAuthentication(BaseAuthentication):
    """`Authorization: Basic`. As in Harbor a wrong password is no error by itself: the request goes on as nobody's, so
    that public things still answer, and 401 comes from whatever needs somebody, each write among them.

    Raises TooManyRequests after too many wrong ones.
    """

    def authenticate(self, request: Request) -> tuple[Actor, None] | None:
        credentials = parse_basic(request.META.get("HTTP_AUTHORIZATION", ""))
        if credentials is None:
            return None
        actor = verify_basic(*credentials, address=request.META.get("REMOTE_ADDR", ""))
        return (actor, None) if actor else None
