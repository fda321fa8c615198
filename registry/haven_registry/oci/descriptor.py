"""Descriptors, and the reading of single members of a manifest (image-spec, descriptor.md).

A member that is `null` counts as absent: encoders of Go write nil maps and slices that way.

What is returned is safe for text and jsonb columns of PostgreSQL, which cannot hold U+0000: a media type with it is
refused, in annotations, platforms and URLs it becomes U+FFFD. Lone surrogates do not get past the JSON reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .digest import Digest
from .errors import DigestInvalid, ManifestInvalid, excerpt

MAX_SIZE_BYTES = 2**63 - 1  # int64 in the specification, bigint in the database

_MAX_MEDIA_TYPE_CHARACTERS = 255  # RFC 6838: 127 on either side of the slash
_media_type = re.compile(rf"[ -~]{{0,{_MAX_MEDIA_TYPE_CHARACTERS}}}").fullmatch

_FIELDS = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})
_FOLDED_NAMES = frozenset({"mediatype", "digest", "size"})


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on; a member that was not given is ''. Attestations have `unknown` for both."""

    os: str
    architecture: str
    variant: str
    os_version: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One named piece of content; a member that was not given is '', empty or None. `size` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str
    annotations: Mapping[str, str]
    platform: Platform | None
    urls: tuple[str, ...]


def read_descriptor(value: object, path: str, *, is_media_type_required: bool = False) -> Descriptor:
    """Read one descriptor.

    The specification requires `mediaType` everywhere. It is insisted on only where the registry decides by it (the
    children of an index): for configs, layers and subjects older writers leave it out, and nothing depends on it.

    Raises ManifestInvalid with the path of the member that is wrong.
    """
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{path} is not an object", path)
    refuse_other_spellings(value, _FIELDS, _FOLDED_NAMES, path)
    media_type = read_media_type(value, "mediaType", path)
    if is_media_type_required and not media_type:
        raise ManifestInvalid(f"{path}.mediaType is missing", f"{path}.mediaType")
    data = value.get("data")
    if data is not None and not isinstance(data, str):
        raise ManifestInvalid(f"{path}.data is not a string", f"{path}.data")
    return Descriptor(
        media_type=media_type,
        digest=_read_digest(value, path),
        size=_read_size(value, path),
        artifact_type=read_media_type(value, "artifactType", path),
        annotations=read_annotations(value, path),
        platform=_read_platform(value, path),
        urls=tuple(read_text(url, f"{path}.urls[{i}]") for i, url in enumerate(read_list(value, "urls", path))),
    )


def refuse_other_spellings(members: Iterable[str], fields: frozenset[str], folded: frozenset[str], path: str) -> None:
    """Refuse `Layers` beside or instead of `layers`.

    Clients in Go match member names without regard to case, so they would see content this registry has not checked.
    """
    for name in members:
        if name not in fields and name.casefold() in folded:
            raise ManifestInvalid(f"{path} has a member {excerpt(name)}, which some clients read as another", path)


def read_list(members: Mapping[str, Any], name: str, path: str) -> list[Any]:
    """An optional list; absent is empty."""
    value = members.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestInvalid(f"{path}.{name} is not a list", f"{path}.{name}")
    return value


def is_media_type(text: str) -> bool:
    """Any type will do that is printable ASCII of at most 255 characters."""
    return _media_type(text) is not None


def read_media_type(members: Mapping[str, Any], name: str, path: str) -> str:
    """An optional media type; absent is ''. See is_media_type."""
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not is_media_type(value):
        raise ManifestInvalid(f"{path}.{name} is not a media type: {excerpt(value)}", f"{path}.{name}")
    return value


def read_annotations(members: Mapping[str, Any], path: str) -> dict[str, str]:
    """An optional map of strings; absent is empty."""
    value = members.get("annotations")
    if value is None:
        return {}
    path = f"{path}.annotations"
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{path} is not an object", path)
    for key, text in value.items():
        if not isinstance(text, str):
            raise ManifestInvalid(f"{path} has a value that is not a string: {excerpt(key)}", path)
    return {_without_nul(key): _without_nul(text) for key, text in value.items()}


def read_text(value: object, path: str) -> str:
    """A string of free text."""
    if not isinstance(value, str):
        raise ManifestInvalid(f"{path} is not a string", path)
    return _without_nul(value)


def _without_nul(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _read_digest(members: Mapping[str, Any], path: str) -> Digest:
    path = f"{path}.digest"
    value = members.get("digest")
    if not isinstance(value, str):
        raise ManifestInvalid(f"{path} is {'missing' if value is None else 'not a string'}", path)
    try:
        return Digest.parse(value)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{path}: {error.message}", path, error.detail) from error


def _read_size(members: Mapping[str, Any], path: str) -> int:
    path = f"{path}.size"
    value = members.get("size")
    if value is None:
        raise ManifestInvalid(f"{path} is missing", path)
    # `type`, not `isinstance`: True is an int to Python.
    if type(value) is not int or not 0 <= value <= MAX_SIZE_BYTES:
        raise ManifestInvalid(f"{path} is not a size in bytes: {excerpt(value)}", path)
    return value


def _read_platform(members: Mapping[str, Any], path: str) -> Platform | None:
    value = members.get("platform")
    if value is None:
        return None
    path = f"{path}.platform"
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{path} is not an object", path)

    def text(name: str) -> str:
        member = value.get(name)
        return "" if member is None else read_text(member, f"{path}.{name}")

    return Platform(text("os"), text("architecture"), text("variant"), text("os.version"))
