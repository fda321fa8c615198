"""Content negotiation of manifests."""

from __future__ import annotations

from functools import lru_cache

from .media_types import MANIFEST_TYPES, SCHEMA1_TYPES, normalise_content_type

_KEPT_CHARACTERS = 1024
_WILDCARDS = frozenset({"*/*", "application/*"})
_NEGOTIATED = MANIFEST_TYPES | SCHEMA1_TYPES


def accepts(accept_header_values: str | None, media_type: str) -> bool:
    """Whether a client that sent this `Accept` (repeated headers joined by commas) takes a manifest of `media_type`.

    A digest has one representation, so nothing is chosen or converted. The answer is no only when the client names
    manifest types, no wildcard, and not this type; a client that names no manifest type has not negotiated at all.
    Parameters are ignored: no client in use ranks manifest types by `q`.
    """
    if accept_header_values is None:
        return True
    known = len(accept_header_values) <= _KEPT_CHARACTERS  # clients send the same few headers with every pull
    return (_judge if known else _judge.__wrapped__)(accept_header_values, media_type)


@lru_cache(maxsize=512)
def _judge(accept_header_values: str, media_type: str) -> bool:
    named = {normalise_content_type(value) for value in accept_header_values.split(",")}
    return media_type in named or not named.isdisjoint(_WILDCARDS) or named.isdisjoint(_NEGOTIATED)
