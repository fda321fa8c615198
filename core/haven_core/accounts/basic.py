"""The `Authorization: Basic` header (RFC 7617)."""

import base64
import binascii
from typing import NamedTuple


class Credentials(NamedTuple):
    """A name and a password, as sent."""

    username: str
    password: str


def parse_basic(header: str) -> Credentials | None:
    """The pair in an Authorization header; None when it is another scheme or can't be read. Split at the first ':'."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    username, colon, password = text.partition(":")
    return Credentials(username, password) if colon else None
