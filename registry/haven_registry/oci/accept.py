"""Content negotiation of manifests."""

from __future__ import annotations

from .media_types import MANIFEST_TYPES, SCHEMA1_TYPES, normalise_content_type

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
    named = {normalise_content_type(value) for value in accept_header_values.split(",")}
    return media_type in named or not named.isdisjoint(_WILDCARDS) or named.isdisjoint(_NEGOTIATED)
