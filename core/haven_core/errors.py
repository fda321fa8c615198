"""Domain errors: one class per fact. They know no HTTP beyond the codes that the two renderers (OCI envelope on /v2,
Harbor's on /api) put on the wire."""

from collections.abc import Mapping
from typing import Any, ClassVar


class HavenError(Exception):
    """Base of everything the services raise.

    status: HTTP status. api_status: the one on /api, where Harbor answers another than /v2.
    oci_code: the code on /v2 (distribution-spec, error codes). api_code: Harbor's code on /api.
    """

    status: ClassVar[int] = 500
    api_status: ClassVar[int | None] = None
    oci_code: ClassVar[str] = "UNKNOWN"
    api_code: ClassVar[str] = "UNKNOWN"
    message: ClassVar[str] = "internal error"

    def __init__(self, message: str | None = None, *, detail: Any = None) -> None:
        super().__init__(message or self.message)
        self.detail = detail


class ConcurrentChange(HavenError):
    """A row we chose changed hands before we held it; the transaction starts over. Clients see it as 503."""

    status = 503
    oci_code = "UNAVAILABLE"
    message = "too many clients changed the same thing at once; try again"


class Unauthorized(HavenError):
    """Nobody, or not enough of somebody. On /v2 always with a challenge."""

    status = 401
    oci_code = api_code = "UNAUTHORIZED"
    message = "authentication required"


class Forbidden(HavenError):
    """A known user without the right. Only on /api; /v2 answers 401."""

    status = 403
    oci_code = "DENIED"
    api_code = "FORBIDDEN"
    message = "forbidden"


class Denied(HavenError):
    """More was asked than the caller may pass on."""

    status = 403
    oci_code = api_code = "DENIED"
    message = "denied"


class Conflict(HavenError):
    """The name is taken."""

    status = 409
    oci_code = "DENIED"
    api_code = "CONFLICT"
    message = "already exists"


class BadRequest(HavenError):
    """What was sent can't be used."""

    status = 400
    oci_code = "UNSUPPORTED"
    api_code = "BAD_REQUEST"
    message = "bad request"


class ProjectUnknown(HavenError):
    """No such project, or none the caller may see."""

    status = 404
    oci_code = "NAME_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "project not found"


class NotFound(HavenError):
    """No such thing, or none the caller may see."""

    status = 404
    oci_code = "NAME_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "not found"


class NoUser(HavenError):
    """Only a user has what was asked for, and no user asks."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "only a user has this; a robot asks"


class InUse(HavenError):
    """Something still refers to it."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "it is in use"


class PreconditionRefused(HavenError):
    """The installation is not in the state the request is for."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "not possible in this installation"


class PasswordChangeRequired(HavenError):
    """The session's account has a password that somebody else chose; nothing else is done until it is changed."""

    status = 403
    oci_code = "DENIED"
    api_code = "FORBIDDEN"
    message = "change your password first: PUT /api/v2.0/users/{your id}/password"


class ProjectInUse(HavenError):
    """The project still holds repositories."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "the project contains repositories, can not be deleted"


class TagImmutable(HavenError):
    """A rule of the project makes the tag immutable (Harbor's 412): nobody moves or removes it, nor what it names."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "the tag is configured as immutable"


class TooManyRequests(HavenError):
    """Slow down. retry_after_seconds: when the next attempt will be looked at; goes into Retry-After."""

    status = 429
    oci_code = "TOOMANYREQUESTS"
    api_code = "TOO_MANY_REQUEST"
    message = "too many requests"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DatabaseUnavailable(HavenError):
    """The database does not answer, or hung up in the middle; whether the last write was made is then unknown."""

    status = 503
    oci_code = api_code = "UNAVAILABLE"
    message = "the database is not available; try again"


class QuotaExceeded(HavenError):
    """The project has no room. 403 DENIED, which clients don't retry; the numbers say what would help."""

    status = 403
    oci_code = api_code = "DENIED"

    def __init__(self, project_id: int, requested: int, used: int = 0, limit: int = 0) -> None:
        self.project_id, self.requested, self.used, self.limit = project_id, requested, used, limit
        super().__init__(
            f"adding {human_size(requested)} of storage resource, which when updated to current usage of "
            f"{human_size(used)} will exceed the configured upper limit of {human_size(limit)}",
            detail={"requested_bytes": requested, "used_bytes": used, "limit_bytes": limit},
        )


def human_size(size: int) -> str:
    """Bytes in Harbor's words: '510.7 MiB'."""
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # the unit that ended the loop is the answer
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def envelope(code: str, message: str, detail: Any = None) -> Mapping[str, Any]:
    """The error body of both dialects: {"errors": [{code, message, detail}]}."""
    error: dict[str, Any] = {"code": code, "message": message}
    if detail is not None:
        error["detail"] = detail
    return {"errors": [error]}
