"""Haven's own pictures of artifacts, one for each type: small, drawn from paths, and nothing that could run."""

import hashlib
from dataclasses import dataclass

from haven_registry.artifacts import kinds

SVG = "image/svg+xml"

_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48" viewBox="0 0 24 24" fill="none" '
    'stroke="#1f4e79" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">'
)
_BOX = '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/>'
_FILE = '<path d="M14 3v5h5M6 3h8l5 5v13H6z"/>'

# what stands inside the head, by type of artifact or of accessory
_PATHS = {
    kinds.IMAGE: _BOX + '<path d="M12 12l8-4.5M12 12v9M12 12L4 7.5"/>',
    kinds.CHART: '<circle cx="12" cy="12" r="5"/><path d="M12 2v5M12 17v5M2 12h5M17 12h5M5 5l3.5 3.5M15.5 15.5L19 19"/>',
    kinds.CNAB: '<path d="M4 8h16v12H4zM4 8l3-4h10l3 4M9 12h6"/>',
    kinds.WASM: '<path d="M3 4h6a3 3 0 0 0 6 0h6v16H3z"/>'
    '<path d="M6 11l1.5 5L9 12l1.5 4L12 11M14 16l2-5 2 5M14.7 14.5h2.6"/>',
    kinds.SBOM: _FILE + '<path d="M9 12h6M9 15h6M9 18h3"/>',
    kinds.CNAI: '<circle cx="6" cy="7" r="2"/><circle cx="6" cy="17" r="2"/><circle cx="18" cy="12" r="2"/>'
    '<path d="M8 8l8 3M8 16l8-3"/>',
    kinds.COSIGN: '<circle cx="8" cy="14" r="4"/><path d="M11 11l8-8M16 6l2 2M14 8l1.5 1.5"/>',
    kinds.NOTATION: '<path d="M12 3l7 3v6c0 4-3 7-7 9-4-2-7-5-7-9V6z"/><path d="M9 12l2 2 4-4"/>',
    kinds.SUBJECT: '<path d="M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"/>',
    kinds.UNKNOWN: _FILE + '<path d="M10.5 13a1.5 1.5 0 1 1 2 1.5c-.4.2-.5.5-.5 1M12 18v.01"/>',
}
_PATHS[kinds.SBOM_ACCESSORY] = _PATHS[kinds.SBOM]


@dataclass(frozen=True, slots=True)
class Icon:
    """A picture."""

    content_type: str
    content: bytes


_DRAWN = {kind: f"{_HEAD}{paths}</svg>".encode() for kind, paths in _PATHS.items()}
_DIGESTS = {kind: f"sha256:{hashlib.sha256(content).hexdigest()}" for kind, content in _DRAWN.items()}
_ICONS = {_DIGESTS[kind]: Icon(SVG, content) for kind, content in _DRAWN.items()}


def icon_of(kind: str) -> str:
    """The digest by which a type of artifact or accessory has its icon; that of UNKNOWN for others."""
    return _DIGESTS.get(kind, _DIGESTS[kinds.UNKNOWN])


def find_icon(digest: str) -> Icon | None:
    """The icon with that digest."""
    return _ICONS.get(digest)
