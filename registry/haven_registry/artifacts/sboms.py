"""Lists of what is in an image: SPDX, CycloneDX, Syft; as referrer, under Cosign's tag, or Harbor's own."""

from collections.abc import Mapping
from typing import Any

from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import Details, text_of
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import ParsedManifest

SBOM_ADDITION = "sbom"

MAX_SBOM_BYTES = 16 * 1024 * 1024
"""The largest that is shown."""


def find_sbom(parsed: ParsedManifest) -> Descriptor | None:
    """The layer with the list: there is exactly one (Harbor)."""
    return parsed.layers[0] if len(parsed.layers) == 1 else None


def is_json(layer: Descriptor) -> bool:
    """Whether the layer's type says that it is JSON."""
    media_type = kinds.bare(layer.media_type)
    return media_type.endswith("json") or media_type == kinds.HARBOR_SBOM


def read_sbom(parsed: ParsedManifest, document: Mapping[str, Any] | None) -> Details:
    """Format by media type, and of a JSON `document` its version, name, time and number of packages."""
    layer = find_sbom(parsed)
    candidates = [kinds.bare(parsed.artifact_type), *(() if layer is None else [kinds.bare(layer.media_type)])]
    form = next((found for each in candidates if (found := kinds.SBOM_FORMATS.get(each))), "")
    extra: dict[str, Any] = {"format": form}
    if layer is not None:
        extra |= {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size}
    if document is None:
        return Details(extra=extra)
    said = _spdx(document) or _cyclonedx(document) or _syft(document)
    return Details(created=said.get("created", ""), extra=extra | said)


def _spdx(document: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(document.get("spdxVersion"), str):
        return {}
    created = text_of(_member(document, "creationInfo"), "created")
    return _said("SPDX", text_of(document, "spdxVersion"), text_of(document, "name"), created, document.get("packages"))


def _cyclonedx(document: Mapping[str, Any]) -> dict[str, Any]:
    if document.get("bomFormat") != "CycloneDX":
        return {}
    metadata = _member(document, "metadata")
    name, created = text_of(_member(metadata, "component"), "name"), text_of(metadata, "timestamp")
    return _said("CycloneDX", text_of(document, "specVersion"), name, created, document.get("components"))


def _syft(document: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(document.get("artifacts"), list):
        return {}
    version = text_of(_member(document, "schema"), "version")
    return _said("Syft", version, text_of(_member(document, "source"), "name"), "", document["artifacts"])


def _said(form: str, version: str, name: str, created: str, packages: Any) -> dict[str, Any]:
    number = len(packages) if isinstance(packages, list) else 0
    return {"format": form, "version": version, "name": name, "created": created, "packages": number}


def _member(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
