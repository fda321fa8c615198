"""What all REST views share."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from haven_core.accounts.sessions import LiveSession
from haven_core.audit.services import record_api_write
from haven_core.domain.actor import ANONYMOUS, Actor
from haven_core.domain.origin import Origin
from haven_core.errors import Forbidden, PasswordChangeRequired, Unauthorized
from haven_core.policies.writes import before_write

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PREFIX = "/api/v2.0"
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
    """A REST view. Views parse, authorise, call one service, render; errors go through errors.exception_handler.

    passes_read_only: its writes go on in read-only mode.
    audited_as: what the audit log calls the thing a request changes, where the path and the name in the body don't say
    it well; audited_in: the id of the project whose log has it, where the path doesn't name one. Set by the method.
    """

    parser_classes = [SafeJSONParser]
    renderer_classes = [Utf8JSONRenderer]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    permission_classes = []
    passes_read_only = False
    audited_as = ""
    audited_in: int | None = None
    is_audited = True  # whether what it writes is told to the audit log here, and not by the service
    changes_nothing = False  # whether what it does is a question, too long for a GET
    is_of_own_account = False  # whether its writes may change one's own account, which who may only read still may
    works_before_password_change = False  # whether a session whose password must be changed first may ask this

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before the method: who asks, and whether anything may change. Raises what a write policy does,
        PasswordChangeRequired, and Forbidden for who may only read: whatever a view forgets to ask."""
        super().initial(request, *args, **kwargs)
        session = request.auth
        if isinstance(session, LiveSession) and session.must_change_password and not self.works_before_password_change:
            raise PasswordChangeRequired
        if self.actor.is_registry_only:
            raise Forbidden("the token's scope is the registry, not its API")
        if request.method in _READS or self.changes_nothing:
            return
        if self.actor.is_read_only and not self.is_of_own_account:
            raise Forbidden
        if not self.passes_read_only:
            before_write()

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """After the method, whatever came of it: a write goes into the audit log. What strangers try and are refused does
        not, or they could fill it."""
        status = response.status_code
        is_write = self.is_audited and request.method not in _READS and not self.changes_nothing
        # Who guesses too often is nobody yet, and asking again who it is would refuse again, here where nothing catches it.
        is_answered = status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS
        if is_write and is_answered and not (self.actor.is_anonymous and status >= 400):
            self._audit(request, status)
        return super().finalize_response(request, response, *args, **kwargs)

    def _audit(self, request: Request, status: int) -> None:
        try:
            body = request.data
        except Exception:  # noqa: BLE001  # no body anybody could read; the answer said so
            body = None
        record_api_write(
            self.origin,
            method=str(request.method),
            path=request.path.removeprefix(_PREFIX),
            status=status,
            body=body,
            resource=self.audited_as,
            project=self.audited_in,
            by_name=request.headers.get("X-Is-Resource-Name", "").lower() in ("true", "1"),
        )

    @property
    def origin(self) -> Origin:
        """Who calls, and from where."""
        return Origin(self.actor.name, self.request.META.get("REMOTE_ADDR", ""))

    @property
    def actor(self) -> Actor:
        """Who calls; ANONYMOUS without valid credentials."""
        user: Any = self.request.user
        return user if isinstance(user, Actor) else ANONYMOUS

    def require_password(self) -> None:
        """What keeps an account its owner's takes a password or a session, no personal access token. Raises Forbidden."""
        if self.actor.token_id:
            raise Forbidden("a personal access token can't do this; log in with the password")

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
