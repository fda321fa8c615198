"""What processors make of an artifact, and how text from strangers becomes storable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""The most that is read of a config."""

MAX_STORED_BYTES = 128 * 1024
"""The most that is kept of a config's attributes, and of a history each: lists show a hundred of them at once."""

MAX_TEXT = 4096
"""Characters of a single text that is shown on its own."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of an artifact beyond its manifest's columns; '' or empty where it says nothing.

    platform: os/architecture[/variant]. created: as the config writes it. extra: Harbor's extra_attrs. annotations: of
    the manifest. children: of an index, as its references show them, in order, without ids. history: of an image, each
    step with the digest and size (bytes) of its layer. error: why less is known than there should be.
    """

    platform: str = ""
    created: str = ""
    author: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    children: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, Any]] = ()
    error: str = ""


def bounded(details: Details) -> Details:
    """The same without what is too large to keep, and saying so."""
    lost = [
        name for name in ("extra", "annotations", "history") if encoded_size(getattr(details, name)) > MAX_STORED_BYTES
    ]
    if not lost:
        return details
    said = f"not shown, as larger than {MAX_STORED_BYTES // 1024} KiB: {', '.join(lost)}"
    kept: dict[str, Any] = {name: () if name == "history" else {} for name in lost}
    return replace(details, error="; ".join(filter(None, (details.error, said))), **kept)


def encoded_size(value: Any) -> int:
    """Bytes of the value as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def storable(value: Any) -> Any:
    """JSON as PostgreSQL can keep it: U+0000, in texts and keys, becomes U+FFFD."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {storable(key): storable(member) for key, member in value.items()}
    if isinstance(value, list):
        return [storable(member) for member in value]
    return value


def text_of(document: Mapping[str, Any], key: str) -> str:
    """A member that should be a text; '' for any other type. At most MAX_TEXT characters."""
    value = document.get(key)
    return value[:MAX_TEXT] if isinstance(value, str) else ""
