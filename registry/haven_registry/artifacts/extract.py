"""From a manifest and its config to Details, by the artifact's type. Never raises for what was pushed."""

from dataclasses import replace
from typing import Any

from haven_registry.artifacts import kinds
from haven_registry.artifacts.charts import read_chart
from haven_registry.artifacts.details import Details, bounded, storable
from haven_registry.artifacts.images import read_children, read_image
from haven_registry.oci import media_types
from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.manifest import ParsedManifest
from haven_registry.oci.strict_json import parse_object

# types whose config is a description to be shown whole
_DESCRIBED = frozenset({kinds.CNAB, kinds.WASM, kinds.CNAI})


def wants_config(kind: str, parsed: ParsedManifest) -> bool:
    """Whether the config of such an artifact is read at all. That of an unknown kind can be anything, of any size."""
    if parsed.config is None or parsed.config.media_type == media_types.OCI_EMPTY:
        return False
    return kind in _DESCRIBED | {kinds.IMAGE, kinds.CHART}


def extract(kind: str, parsed: ParsedManifest, config: bytes | None, error: str = "") -> Details:
    """What there is to know of an artifact.

    kind: by kinds.artifact_type. config: its bytes, None when it is not wanted or could not be read, and then `error`
    says why. A config that is wrong or hostile leaves its reason in Details.error, and what the manifest itself says.
    """
    found = Details(error=error)
    if config is not None:
        try:
            found = _read(kind, parsed, storable(parse_object(config)))
        except ManifestInvalid as invalid:
            said = str(invalid).replace("the manifest", "the config")
            found = Details(error=f"the config can't be read: {said}"[:1000])
    children: list[dict[str, Any]] = read_children(parsed.manifests)
    return bounded(replace(found, annotations=dict(parsed.annotations), children=children))


def _read(kind: str, parsed: ParsedManifest, config: dict[str, Any]) -> Details:
    if kind == kinds.IMAGE:
        return read_image(config, parsed.layers)
    return read_chart(config) if kind == kinds.CHART else Details(extra=config)
