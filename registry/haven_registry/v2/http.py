"""Requests and responses, as little of them as /v2 needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs

from haven_core.conf import config
from haven_core.errors import HavenError

REASONS = {
    200: "200 OK",
    201: "201 Created",
    202: "202 Accepted",
    204: "204 No Content",
    206: "206 Partial Content",
    304: "304 Not Modified",
    307: "307 Temporary Redirect",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    412: "412 Precondition Failed",
    413: "413 Content Too Large",
    414: "414 URI Too Long",
    416: "416 Range Not Satisfiable",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
    507: "507 Insufficient Storage",
}
_MAX_QUERY = 16 * 1024
_MAX_PARAMETERS = 256


class QueryTooLong(HavenError):
    """414: more parameters than any request has use for (distribution-spec end-7b, too many tags)."""

    status: ClassVar[int] = 414
    oci_code: ClassVar[str] = "UNSUPPORTED"
    message: ClassVar[str] = "too many parameters in the address"


class Body(Protocol):
    """What WSGI servers give as wsgi.input."""

    def read(self, size: int, /) -> bytes: ...


class Request:
    """One request. Header values are the client's: hostile until parsed."""

    __slots__ = ("__dict__", "environ", "head", "is_body_read", "method", "path", "payload")

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"]
        self.is_body_read = False
        self.head = b""  # the body's begin, once is_short has read it
        self.payload: bytes | None = None  # the whole body, once read_all has read it

    def header(self, name: str) -> str | None:
        """A header by its CGI name without HTTP_, such as IF_NONE_MATCH."""
        return self.environ.get("HTTP_" + name)

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """Decoded parameters. Raises QueryTooLong: what was not read must not count as not said."""
        text = self.environ.get("QUERY_STRING") or ""
        if len(text) > _MAX_QUERY:
            raise QueryTooLong
        try:
            return parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
        except ValueError:
            raise QueryTooLong from None

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else None

    @property
    def content_type(self) -> str | None:
        """The request's Content-Type, parameters included."""
        return self.environ.get("CONTENT_TYPE") or None

    @property
    def content_length(self) -> int | None:
        """The declared body size in bytes; None when it is chunked or absent."""
        text = self.environ.get("CONTENT_LENGTH") or ""
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def body(self) -> Body:
        """The body's stream."""
        stream: Body = self.environ["wsgi.input"]
        return stream

    @property
    def has_body(self) -> bool:
        """Whether the client announced a body, be it empty."""
        return bool(self.content_length) or "chunked" in (self.header("TRANSFER_ENCODING") or "").lower()

    @property
    def client_address(self) -> str:
        """Where the request comes from (haven_project.wsgi takes it from the gateway)."""
        address: str = self.environ.get("REMOTE_ADDR", "")
        return address

    @property
    def base_url(self) -> str:
        """Scheme and host for absolute URLs: the configured one, else what the client asked for."""
        if external_url := config().external_url:
            return external_url
        scheme = self.environ.get("wsgi.url_scheme", "http")
        return f"{scheme}://{self.environ.get('HTTP_HOST') or self.environ.get('SERVER_NAME', 'localhost')}"


@dataclass(slots=True)
class Response:
    """Status, headers and body. A HEAD gets the headers of its GET; `length` is the body's size when `body` isn't it."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None

    def content_length(self) -> int | None:
        """What Content-Length says."""
        if self.length is not None:
            return self.length
        return len(self.body) if isinstance(self.body, bytes) else None
