"""A picture for each type of artifact: Haven's own, drawn as SVG. Named by digest, as Harbor's are."""

from haven_registry.artifacts import kinds
from haven_registry.oci.digest import Digest

MEDIA_TYPE = "image/svg+xml"

_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48" viewBox="0 0 24 24" fill="none" stroke="#64748b" '
    'stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">{}</svg>'
)
_OTHER = '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/><path d="M10 10a2 2 0 1 1 2.6 1.9c-.4.1-.6.5-.6.9M12 16h0"/>'
_SHAPES = {
    kinds.IMAGE: '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/><path d="M12 12l8-4.5M12 12v9M12 12L4 7.5"/>',
    kinds.CHART: '<circle cx="12" cy="12" r="5"/><path d="M12 2v5M12 17v5M2 12h5M17 12h5M5 5l3.5 3.5M15.5 15.5L19 19"/>',
    kinds.CNAB: '<path d="M4 8h16v12H4zM4 8l2-4h12l2 4M12 4v8M9 14h6"/>',
    kinds.WASM: '<path d="M4 4h5a3 3 0 0 0 6 0h5v16H4z"/><path d="M7 12l1.2 4 1.3-4 1.3 4L12 12M14 16l1.5-4 1.5 4"/>',
    kinds.SBOM: '<path d="M6 3h9l4 4v14H6z"/><path d="M9 10h0M12 10h4M9 13.5h0M12 13.5h4M9 17h0M12 17h4"/>',
    kinds.CNAI: (
        '<circle cx="6" cy="7" r="2"/><circle cx="6" cy="17" r="2"/><circle cx="13" cy="12" r="2"/>'
        '<circle cx="19" cy="12" r="1.5"/><path d="M8 8l3.5 3M8 16l3.5-3M15 12h2.5"/>'
    ),
    kinds.SIGNATURE: '<circle cx="12" cy="9" r="5"/><path d="M9 13l-2 8 5-2.5 5 2.5-2-8M10 9l1.5 1.5L14 8"/>',
    kinds.ATTESTATION: '<path d="M12 3l7 3v6c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6z"/><path d="M9 12l2 2 4-4"/>',
    kinds.CACHE: (
        '<ellipse cx="12" cy="6" rx="7" ry="3"/>'
        '<path d="M5 6v12c0 1.7 3.1 3 7 3s7-1.3 7-3V6M5 12c0 1.7 3.1 3 7 3s7-1.3 7-3"/>'
    ),
}
_OF_ACCESSORIES = {
    kinds.COSIGN: kinds.SIGNATURE,
    kinds.NOTATION: kinds.SIGNATURE,
    kinds.SBOM_ACCESSORY: kinds.SBOM,
    kinds.NYDUS: kinds.IMAGE,
}


def _drawn(shape: str) -> tuple[str, bytes]:
    content = _FRAME.format(shape).encode()
    return str(Digest.of(content, "sha256")), content


_DEFAULT = _drawn(_OTHER)
_BY_KIND = {kind: _drawn(shape) for kind, shape in _SHAPES.items()}
ICONS = dict([_DEFAULT, *_BY_KIND.values()])
"""SVG by digest."""


def icon_of(kind: str) -> str:
    """The digest of the icon of a type of artifact."""
    return _BY_KIND.get(kind, _DEFAULT)[0]


def icon_of_accessory(accessory_type: str) -> str:
    """The digest of the icon of a type of accessory, as Harbor names it."""
    return icon_of(_OF_ACCESSORIES.get(accessory_type, ""))
