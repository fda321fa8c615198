"""Authentication headers, read and written."""

import base64

import pytest

from haven_core.accounts.basic import Credentials, parse_basic
from haven_core.tokens.challenge import bearer_challenge


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic " + basic("ann:s:e:c"), Credentials("ann", "s:e:c")),
        ("basic   " + basic("ann:"), Credentials("ann", "")),
        ("Basic " + basic("robot$p+r:pässword"), Credentials("robot$p+r", "pässword")),
        ("Basic " + basic("nocolon"), None),
        ("Basic !!!", None),
        ("Basic /w==", None),  # no UTF-8
        ("Basic", None),
        ("Bearer x", None),
        ("", None),
    ],
)
def test_basic_header(header: str, expected: Credentials | None) -> None:
    assert parse_basic(header) == expected


def test_challenge() -> None:
    assert (
        bearer_challenge("https://h", ["repository:p/r:pull,push", "repository:q/s:pull"], "insufficient_scope")
        == 'Bearer realm="https://h/service/token",service="haven-registry",'
        'scope="repository:p/r:pull,push repository:q/s:pull",error="insufficient_scope"'
    )
    assert bearer_challenge("http://h:5000") == 'Bearer realm="http://h:5000/service/token",service="haven-registry"'


def test_a_challenge_can_not_be_broken_out_of() -> None:
    assert bearer_challenge('http://h"\r\nX: y', ['repository:a",error="x:pull']).count('"') == 6
    assert "\n" not in bearer_challenge("http://h\r\nX: y")
