"""Errors on the wire: every one is the OCI envelope, whatever raised it (distribution-spec, error codes)."""

import json
import logging
from typing import Any

from django.db import DataError

from haven_core.errors import HavenError, TooManyRequests, envelope
from haven_registry.oci.errors import OciError, RangeInvalid, RangeUnsatisfiable
from haven_registry.storage.errors import ObjectMissing, StagingLost, StorageError, StorageFull, UploadBusy
from haven_registry.v2.authorization import Challenge
from haven_registry.v2.http import Response

_log = logging.getLogger("haven.v2")
RETRY_AFTER_SECONDS = 5
MAX_ERRORS = 1000  # of one answer: clients read a megabyte of it at most


def error_response(
    status: int, code: str, message: str, detail: Any = None, *, retry_after_seconds: int = RETRY_AFTER_SECONDS
) -> Response:
    """An answer with the envelope. 503 and 429 tell the client when to come back."""
    body = json.dumps(envelope(code, message, detail)).encode()
    headers = [("Content-Type", "application/json")]
    if status in (429, 503):
        headers.append(("Retry-After", str(retry_after_seconds)))
    return Response(status, headers, body)


def render(error: Exception) -> Response:
    """The response for an error a handler raised. What is nobody's fault but ours is logged, and says nothing outside."""
    match error:
        case Challenge():
            response = error_response(401, "UNAUTHORIZED", str(error))
            response.headers.append(("WWW-Authenticate", error.header))
            return response
        case TooManyRequests():
            seconds = error.retry_after_seconds
            return error_response(error.status, error.oci_code, str(error), retry_after_seconds=seconds)
        case HavenError():
            if error.status >= 500:
                _log.warning("answered %s: %s", error.status, error)
            return _domain(error)
        case RangeInvalid() | RangeUnsatisfiable():
            return error_response(416, error.code, error.message, dict(error.detail) or None)
        case OciError():
            return error_response(400, error.code, error.message, dict(error.detail) or None)
        case StorageError():
            return _storage(error)
        case DataError():
            _log.exception("value refused by the database")
            return error_response(400, "UNSUPPORTED", "a value in the request can't be stored")
        case _:
            _log.error("internal error", exc_info=error)
            return error_response(500, "UNKNOWN", "internal error; the server's log has the details")


def _domain(error: HavenError) -> Response:
    """One entry per digest where an error names several (MANIFEST_BLOB_UNKNOWN)."""
    digests = getattr(error, "digests", None)
    if not digests:
        return error_response(error.status, error.oci_code, str(error), error.detail)
    entries = [
        {"code": error.oci_code, "message": f"{error.message}: {digest}", "detail": {"digest": digest}}
        for digest in digests[:MAX_ERRORS]
    ]
    return Response(error.status, [("Content-Type", "application/json")], json.dumps({"errors": entries}).encode())


def _storage(error: StorageError) -> Response:
    match error:
        case StorageFull():
            _log.error("storage full: %s", error)
            # docker stops retrying at exactly these words
            return error_response(507, "UNKNOWN", "no space left on device: the registry's storage is full")
        case UploadBusy():
            return error_response(416, "RANGE_INVALID", "another request is writing to this upload; ask for its status")
        case StagingLost():  # asking again would not bring the bytes back: the client must begin anew
            _log.error("staged bytes lost: %s", error)
            return error_response(
                404, "BLOB_UPLOAD_UNKNOWN", "what was uploaded so far is lost; start the upload again"
            )
        case ObjectMissing():
            _log.error("bytes missing: %s", error)
            return error_response(404, "BLOB_UNKNOWN", "the bytes of this blob are missing")
        case _:
            _log.error("storage unavailable: %s", error)
            return error_response(503, "UNAVAILABLE", "the storage is not available; try again")
