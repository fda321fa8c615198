"""Haven's own OpenAPI document: drf-spectacular over the URLs.

A view says what its body is with `extend_schema(request=…)`, and that a GET is a list with `LIST`; the rest is read from
paths, docstrings and serializers. Anything JSON is the body of a write that says nothing.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from haven_api.paging import DEFAULT_SIZE, MAX_SIZE

PREFIX = "/api/v2.0"
_ERRORS = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "detail": {}},
            },
        }
    },
}
_ERROR_ANSWER = {
    "description": "What went wrong.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}},
}

PAGE = (
    OpenApiParameter("page", int, default=1),
    OpenApiParameter("page_size", {"type": "integer", "maximum": MAX_SIZE}, default=DEFAULT_SIZE),
)
_QUERY = (
    OpenApiParameter("q", description="Conditions: k=v, k=~v, k=[a~b], k={a b}, k=(a b), joined by commas."),
    OpenApiParameter("sort", description="Keys joined by commas; - before a key for descending."),
)
_ROWS = {200: {"type": "array", "items": {"type": "object"}}}

_Method = TypeVar("_Method", bound=Callable[..., Any])


class Decorator(Protocol):
    """Describes a method, and leaves it as it is."""

    def __call__(self, method: _Method, /) -> _Method:
        """The same method."""


def listing(*more: str, required: str = "") -> Decorator:
    """Decorates a GET that is a list with `q`, `sort` and pages. more: names of its other texts; required: the one that
    must be there."""
    return extend_schema(parameters=[*_QUERY, *PAGE, *_texts(more, required)], responses=_ROWS)


def paged(*more: str, required: str = "") -> Decorator:
    """The same without `q` and `sort`."""
    return extend_schema(parameters=[*PAGE, *_texts(more, required)], responses=_ROWS)


def asked(*more: str, required: str = "") -> Decorator:
    """Decorates a GET, or a write without a body, that reads texts of the query."""
    return extend_schema(parameters=_texts(more, required), request=None)


def _texts(names: tuple[str, ...], required: str) -> list[OpenApiParameter]:
    texts = [OpenApiParameter(name) for name in names]
    return [*texts, OpenApiParameter(required, required=True)] if required else texts


LIST = listing()
NO_BODY = extend_schema(request=None)


class HavenSchema(AutoSchema):
    """Describes a view that says nothing of itself."""

    def get_operation_id(self) -> str:
        """From method and path, so no two are the same: get_projects_name_or_id."""
        return "_".join([self.method.lower(), *re.findall(r"\w+", self.path.removeprefix(PREFIX))])

    def get_tags(self) -> list[str]:
        """The collection: the first part of the path."""
        return [self.path.removeprefix(PREFIX).strip("/").partition("/")[0]]

    def get_request_serializer(self) -> Any:
        """Any JSON for a write."""
        return OpenApiTypes.ANY if self.method in ("POST", "PUT", "PATCH") else None

    def get_response_serializers(self) -> Any:
        """JSON for a read; a write may answer with none."""
        if self.method == "GET":
            return {200: OpenApiTypes.ANY}
        return {201 if self.method == "POST" else 200: None}


class BasicScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers by being defined
    """`Authorization: Basic`."""

    target_class = "haven_api.authentication.BasicAuthentication"
    name = "basic"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:  # noqa: ARG002  # the library's
        """As OpenAPI names it."""
        return {"type": "http", "scheme": "basic"}


@cache
def openapi_document() -> dict[str, Any]:
    """The document. Made once in a process: it takes a second, and URLs don't change."""
    generator: Any = SchemaGenerator  # untyped
    document: dict[str, Any] = generator(api_version=None).get_schema(request=None, public=True)
    document["components"].setdefault("schemas", {})["Errors"] = _ERRORS
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", _ERROR_ANSWER)
    return document
