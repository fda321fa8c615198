"""What every answer must satisfy, and bits of headers."""

from __future__ import annotations

import re

import requests

from tests.support.client import error_codes

UPLOAD_LOCATION = re.compile(
    r"/v2/(?P<name>.+)/blobs/uploads/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}(\.[\w-]+=*)?"
)


def check(answer: requests.Response, status: int, *codes: str) -> requests.Response:
    """The status, for an error the codes in its envelope, and what is on every answer of /v2."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url} -> {answer.status_code} {answer.text}"
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if codes and answer.request.method != "HEAD":
        assert error_codes(answer) == list(codes)
    return answer


def session_of(location: str) -> str:
    """The id in a session's address, without what the address carries."""
    return location.rpartition("/")[2].partition(".")[0]


def without_state(location: str) -> str:
    """The session's address by its id alone: whoever goes by it is looked up."""
    return f"{location.rpartition('/')[0]}/{session_of(location)}"


def check_session(answer: requests.Response, status: int, repository: str, received: int) -> requests.Response:
    """An answer about an open upload: where to go on, and how far it is."""
    check(answer, status)
    location = answer.headers["Location"]
    match = UPLOAD_LOCATION.fullmatch(location)
    assert match, f"Location must be a path: {location}"
    assert match["name"] == repository
    assert answer.headers["Docker-Upload-UUID"] == session_of(location)
    assert answer.headers["Range"] == f"0-{max(received - 1, 0)}"
    if status == 202:
        assert answer.headers["Content-Length"] == "0"
    assert answer.content == b""
    return answer


def check_created(answer: requests.Response, repository: str, digest: str) -> requests.Response:
    """201 of a blob."""
    check(answer, 201)
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{digest}"
    assert answer.headers["Docker-Content-Digest"] == digest
    assert answer.headers["Content-Length"] == "0"
    return answer


def check_resumable(answer: requests.Response, received: int) -> requests.Response:
    """416 of an upload: the true state, and no Range at offset 0, which would read as one byte."""
    check(answer, 416, "RANGE_INVALID")
    assert UPLOAD_LOCATION.fullmatch(answer.headers["Location"])
    assert answer.headers.get("Range") == (f"0-{received - 1}" if received else None)
    return answer


def challenge_of(answer: requests.Response) -> dict[str, str]:
    """The parameters of the one Bearer challenge of a 401."""
    check(answer, 401, "UNAUTHORIZED")
    scheme, _, rest = answer.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    assert re.fullmatch(r'[a-z]+="[^"]*"(,[a-z]+="[^"]*")*', rest), rest
    return dict(re.findall(r'([a-z]+)="([^"]*)"', rest))
