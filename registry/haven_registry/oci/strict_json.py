"""JSON from strangers: one meaning for every document, and a bounded cost.

Stricter than `json.loads`, because two readers must never see two different manifests under one digest (duplicate
keys, NaN, lone surrogates), and because a small body must not cost much time, memory or stack.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .errors import ManifestInvalid, excerpt

MAX_DEPTH = 64
# Members and elements in the whole document. An index of 5,000 platforms with annotations has about 75,000.
MAX_ITEMS = 200_000
MAX_NUMBER_CHARACTERS = 32

# Possessive, and the closing quote is optional: an unclosed string ends the scan instead of starting it anew at
# every quote, so the pass is linear for every input.
_strings = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_surrogate_escape = re.compile(r"\\u[dD][89a-fA-F]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_object(payload: bytes, *, max_items: int = MAX_ITEMS) -> dict[str, Any]:
    """Read a JSON object of at most `max_items` members and elements.

    Raises ManifestInvalid for: bytes that are not UTF-8 or start with a byte order mark; syntax errors; another
    value than an object at the top; duplicate keys; NaN and Infinity, also by overflow; lone surrogates; numbers
    of more than 32 characters; more than 64 levels or `max_items`. Never RecursionError. U+0000 in strings is
    legal JSON and comes back as it is.
    """
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"the manifest is not UTF-8 (byte {error.start})") from error
    _check_bounds(payload, max_items)
    try:
        document = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ManifestInvalid(
            f"the manifest is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    if _surrogate_escape.search(text):
        _check_surrogates(document)
    return document


def _check_bounds(payload: bytes, max_items: int) -> None:
    """Bound depth and items before the parser, which recurses, sees the document."""
    structure = _strings.sub(b"", payload)
    if structure.count(b",") + structure.count(b"[") + structure.count(b"{") > max_items:
        raise ManifestInvalid(f"the manifest has more than {max_items} items")
    depth = 0
    for bracket in structure.translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ManifestInvalid(f"the manifest is nested deeper than {MAX_DEPTH} levels")


def _check_surrogates(document: dict[str, Any]) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ManifestInvalid("the manifest has a string with a lone surrogate") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ManifestInvalid(f"the manifest has the key {excerpt(key)} twice in one object")
            seen.add(key)
    return members


def _integer(digits: str) -> int:
    _check_number(digits)
    return int(digits)


def _number(digits: str) -> float:
    _check_number(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise ManifestInvalid(f"the manifest has a number that is too large: {digits}")
    return value


def _check_number(digits: str) -> None:
    # Python itself refuses to convert more than some thousand digits, and takes quadratic time below that.
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise ManifestInvalid(f"the manifest has a number of more than {MAX_NUMBER_CHARACTERS} characters")


def _constant(name: str) -> Any:
    raise ManifestInvalid(f"the manifest has {name}, which is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
