"""From a manifest and one blob of it to Details, by the artifact's type. Never raises for what was pushed."""

from dataclasses import replace
from typing import Any

from haven_registry.artifacts import kinds
from haven_registry.artifacts.charts import read_chart
from haven_registry.artifacts.details import Details, bounded, storable
from haven_registry.artifacts.images import read_children, read_image
from haven_registry.artifacts.modules import read_module
from haven_registry.artifacts.sboms import find_sbom, is_json, read_sbom
from haven_registry.artifacts.statements import read_attestation, read_signature
from haven_registry.oci import media_types
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.manifest import ParsedManifest
from haven_registry.oci.strict_json import parse_object

_WITH_CONFIG = frozenset({kinds.IMAGE, kinds.CHART, kinds.CNAB, kinds.WASM, kinds.CNAI})


def wanted_blob(kind: str, parsed: ParsedManifest) -> Descriptor | None:
    """What of such an artifact is read beside its manifest: the config of kinds that are known, or of one that is said to
    be JSON; the document of an SBOM. Any other config can be anything."""
    if kind == kinds.SBOM:
        layer = find_sbom(parsed)
        return layer if layer is not None and is_json(layer) else None
    if parsed.config is None or parsed.config.media_type == media_types.OCI_EMPTY:
        return None
    return parsed.config if kind in _WITH_CONFIG or kinds.is_described(parsed) else None


def extract(kind: str, parsed: ParsedManifest, data: bytes | None, error: str = "") -> Details:
    """What there is to know of an artifact.

    kind: by kinds.artifact_kind. data: bytes of wanted_blob, None when there is none or it could not be read, and then
    `error` says why. A blob that is wrong or hostile leaves its reason in Details.error, and what the manifest itself
    says.
    """
    document: dict[str, Any] | None = None
    if data is not None:
        try:
            document = storable(parse_object(data))
        except ManifestInvalid as invalid:
            what = "SBOM" if kind == kinds.SBOM else "config"
            said = str(invalid).replace("the manifest", f"the {what}")
            error = f"the {what} can't be read: {said}"[:1000]
    found = _read(kind, parsed, document)
    return bounded(
        replace(
            found,
            annotations=dict(parsed.annotations),
            children=read_children(parsed.manifests),
            error="; ".join(filter(None, (error, found.error))),
        )
    )


def _read(kind: str, parsed: ParsedManifest, document: dict[str, Any] | None) -> Details:
    match kind:
        case kinds.SIGNATURE:
            return read_signature(parsed)
        case kinds.ATTESTATION:
            return read_attestation(parsed)
        case kinds.SBOM:
            return read_sbom(parsed, document)
        case kinds.CACHE:
            return _read_cache(parsed)
        case kinds.WASM:
            return read_module(parsed, document or {})
        case _ if document is None:
            return Details()
        case kinds.IMAGE:
            return read_image(document, parsed.layers)
        case kinds.CHART:
            return read_chart(document)
        case _:
            return Details(extra=document)


def _read_cache(parsed: ParsedManifest) -> Details:
    """BuildKit's cache, as an index of layers or as an image of them: their number and bytes."""
    layers = [
        each for each in (*parsed.layers, *parsed.manifests) if each.media_type != media_types.BUILDKIT_CACHE_CONFIG
    ]
    return Details(extra={"layers": len(layers), "size": sum(layer.size for layer in layers)})
