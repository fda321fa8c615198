"""The referrers index: which manifests name a subject (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .manifest import MAX_MANIFEST_BYTES
from .media_types import OCI_INDEX

_HEAD = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":['.encode()
_TAIL = b"]}"


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """The body of one answer; `has_more` when descriptors after the first `count` need another page."""

    body: bytes
    count: int
    has_more: bool


def referrer_descriptor(
    *, media_type: str, digest: str, size: int, artifact_type: str, annotations: Mapping[str, str]
) -> dict[str, Any]:
    """The descriptor of one referrer: its own size in bytes, effective artifact type and annotations.

    `artifactType` and `annotations` are left out when empty.
    """
    descriptor: dict[str, Any] = {"mediaType": media_type, "digest": digest, "size": size}
    if artifact_type:
        descriptor["artifactType"] = artifact_type
    if annotations:
        descriptor["annotations"] = dict(annotations)
    return descriptor


def build_page(descriptors: Iterable[Mapping[str, Any]], limit_bytes: int = MAX_MANIFEST_BYTES) -> ReferrersPage:
    """An index of as many descriptors, in order, as fit in `limit_bytes`, which clients refuse to exceed.

    A page of a list that is not empty holds at least one: a descriptor too large for a page of its own is listed
    without its annotations, so that its digest can still be found. Reads one descriptor further than the page.
    """
    parts: list[bytes] = []
    room = limit_bytes - len(_HEAD) - len(_TAIL)
    used = 0
    for descriptor in descriptors:
        part = _encode(descriptor)
        if len(part) > room:
            part = _encode({name: value for name, value in descriptor.items() if name != "annotations"})
        used += len(part) + (1 if parts else 0)
        if parts and used > room:
            return ReferrersPage(_HEAD + b",".join(parts) + _TAIL, len(parts), has_more=True)
        parts.append(part)
    return ReferrersPage(_HEAD + b",".join(parts) + _TAIL, len(parts), has_more=False)


def _encode(descriptor: Mapping[str, Any]) -> bytes:
    return json.dumps(descriptor, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
