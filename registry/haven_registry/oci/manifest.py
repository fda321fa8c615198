"""Manifests: what a registry must know of one before it stores it (image-spec, manifest.md and image-index.md).

The payload itself is stored and served byte for byte, with every member unknown here; nothing is written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .descriptor import (
    MAX_SIZE_BYTES,
    Descriptor,
    read_annotations,
    read_descriptor,
    read_list,
    read_media_type,
    refuse_other_spellings,
)
from .errors import ManifestInvalid, excerpt
from .media_types import (
    IMAGE_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    NON_DISTRIBUTABLE,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1_TYPES,
    normalise_content_type,
)
from .strict_json import parse_object

# The least a registry must accept (distribution-spec, "Pushing Manifests"); a larger body is answered 413 unread.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

Role = Literal["config", "layer", "child"]

_FIELDS = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"}
)
_FOLDED_NAMES = frozenset(name.casefold() for name in _FIELDS)


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """An image or an index, checked; all lists in the order of the payload, with repetitions.

    Nothing has been checked against a repository: the named content may not exist, and may have another size.
    """

    media_type: str
    declared_artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    @property
    def artifact_type(self) -> str:
        """What referrers are filtered by: `artifactType`, else an image's config type; '' for an index without."""
        return self.declared_artifact_type or ("" if self.config is None else self.config.media_type)

    @property
    def required_blobs(self) -> tuple[tuple[Role, Descriptor], ...]:
        """The blobs a repository must hold before it takes this manifest: config, layers, children that are blobs.

        Non-distributable content is left out, whether or not it has `urls`. BuildKit's cache is an index of blobs.
        """
        named: list[tuple[Role, Descriptor]] = [] if self.config is None else [("config", self.config)]
        named += [("layer", layer) for layer in self.layers]
        named += [("child", child) for child in self.manifests if child.media_type not in MANIFEST_TYPES]
        return tuple((role, blob) for role, blob in named if blob.media_type not in NON_DISTRIBUTABLE)

    @property
    def child_manifests(self) -> tuple[Descriptor, ...]:
        """The children of an index that are manifests, each digest once, as it is first mentioned."""
        children: dict[str, Descriptor] = {}
        for child in self.manifests:
            if child.media_type in MANIFEST_TYPES:
                children.setdefault(str(child.digest), child)
        return tuple(children.values())

    @property
    def total_size(self) -> int:
        """Bytes of config and layers as declared, repeated and non-distributable layers included; 0 for an index."""
        return sum(layer.size for layer in self.layers) + (0 if self.config is None else self.config.size)


def parse_manifest(payload: bytes, content_type: str | None) -> ParsedManifest:
    """Read a manifest as it was pushed.

    `content_type` is the header of the request; without it the type comes from the `mediaType` member, else from the
    members there are (`manifests`: OCI index, `config` or `layers`: OCI image). Accepted are the types in
    MANIFEST_TYPES. One document has one reading (CVE-2021-41190): header and member must agree, and members of the
    other kind are refused. Types of artifacts, configs and layers are free; `layers` may be missing or empty,
    `manifests` may be empty.

    Raises ManifestInvalid. The caller bounds the payload by MAX_MANIFEST_BYTES.
    """
    document = parse_object(payload)
    refuse_other_spellings(document, _FIELDS, _FOLDED_NAMES, "$")
    media_type = _decide_media_type(document, normalise_content_type(content_type))
    _check_members(document, media_type)
    is_image = media_type in IMAGE_TYPES
    subject = document.get("subject")
    parsed = ParsedManifest(
        media_type=media_type,
        declared_artifact_type=read_media_type(document, "artifactType", "$"),
        config=read_descriptor(document["config"], "$.config") if is_image else None,
        layers=_read_descriptors(document, "layers"),
        manifests=_read_descriptors(document, "manifests", is_media_type_required=True),
        subject=None if subject is None else read_descriptor(subject, "$.subject"),
        annotations=read_annotations(document, "$"),
    )
    if parsed.total_size > MAX_SIZE_BYTES:
        raise ManifestInvalid("the sizes of the layers do not add up to a size in bytes", "$.layers")
    return parsed


def _decide_media_type(document: Mapping[str, Any], content_type: str) -> str:
    member = read_media_type(document, "mediaType", "$")
    version = document.get("schemaVersion")
    is_version_one = type(version) is int and version == 1
    if is_version_one or "fsLayers" in document or not SCHEMA1_TYPES.isdisjoint({content_type, member}):
        raise ManifestInvalid("schema 1 is not supported", "$.schemaVersion")
    if type(version) is not int or version != 2:
        raise ManifestInvalid("schemaVersion is not 2", "$.schemaVersion")
    if content_type and member and content_type != member:
        raise ManifestInvalid(
            f"the content type {excerpt(content_type)} differs from the mediaType {excerpt(member)}", "$.mediaType"
        )
    media_type = content_type or member or _media_type_by_structure(document)
    if media_type not in MANIFEST_TYPES:
        supported = sorted(MANIFEST_TYPES)
        raise ManifestInvalid(
            f"{excerpt(media_type)} is not a supported manifest type; supported are {', '.join(supported)}",
            "$.mediaType",
            {"supported": supported},
        )
    return media_type


def _media_type_by_structure(document: Mapping[str, Any]) -> str:
    if document.get("config") is not None or document.get("layers") is not None:
        return OCI_MANIFEST
    if "manifests" in document:
        return OCI_INDEX
    raise ManifestInvalid("the manifest has no media type, and neither config nor manifests to tell it by")


def _check_members(document: Mapping[str, Any], media_type: str) -> None:
    is_index = media_type in INDEX_TYPES
    for name in ("config", "layers") if is_index else ("manifests",):
        if document.get(name) is not None:
            raise ManifestInvalid(f"{'an index' if is_index else 'an image'} cannot have {name}", f"$.{name}")
    if is_index and "manifests" not in document:
        raise ManifestInvalid("the index has no manifests", "$.manifests")
    if not is_index and document.get("config") is None:
        raise ManifestInvalid("the image has no config", "$.config")


def _read_descriptors(
    document: Mapping[str, Any], name: str, *, is_media_type_required: bool = False
) -> tuple[Descriptor, ...]:
    return tuple(
        read_descriptor(value, f"$.{name}[{position}]", is_media_type_required=is_media_type_required)
        for position, value in enumerate(read_list(document, name, "$"))
    )
