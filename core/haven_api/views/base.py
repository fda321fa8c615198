"""What all REST views share."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from haven_core.accounts.sessions import LiveSession
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.errors import PasswordChangeRequired, Unauthorized

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


class SafeJSONParser(JSONParser):
    """JSON, where too many brackets are the client's error. DATA_UPLOAD_MAX_MEMORY_SIZE bounds the body."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("the JSON is nested too deeply") from None


class Utf8JSONRenderer(JSONRenderer):
    """Says its charset, as Harbor does."""

    charset = "utf-8"


class AlwaysJson(BaseContentNegotiation):
    """The API speaks JSON whatever Accept says: a client's `text/plain` is no reason for 406 (Harbor)."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)

    def select_renderer(
        self, _request: Request, renderers: Iterable[BaseRenderer], _format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class ApiView(APIView):
    """A REST view. Views parse, authorise, call one service, render; errors go through errors.exception_handler."""

    parser_classes = [SafeJSONParser]
    renderer_classes = [Utf8JSONRenderer]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    permission_classes = []
    works_before_password_change = False  # whether a session whose password must be changed first may ask this

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before each method. Raises PasswordChangeRequired."""
        super().initial(request, *args, **kwargs)
        session = request.auth
        if isinstance(session, LiveSession) and session.must_change_password and not self.works_before_password_change:
            raise PasswordChangeRequired

    @property
    def actor(self) -> Actor:
        """Who calls; ANONYMOUS without valid credentials."""
        user: Any = self.request.user
        return user if isinstance(user, Actor) else ANONYMOUS

    def require_login(self) -> Actor:
        """The caller, who must be somebody. Raises Unauthorized."""
        if self.actor.is_anonymous:
            raise Unauthorized
        return self.actor


def requested_id(name: str, text: str) -> int:
    """An integer of the path. Raises ValidationError (422), as go-openapi does for what is none."""
    if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValidationError({name: "must be an integer"})
    return int(text)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as go-openapi writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
