"""WebAssembly modules: as an artifact of their own (CNCF: wasm OCI artifact layout; wasm-to-oci), or packed as an image."""

from collections.abc import Mapping
from typing import Any

from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import MAX_TEXT, Details
from haven_registry.artifacts.images import read_image
from haven_registry.oci.manifest import ParsedManifest

_TITLE = "org.opencontainers.image.title"


def read_module(parsed: ParsedManifest, config: Mapping[str, Any]) -> Details:
    """What a module's config says, `{}` for none, and Harbor's attributes of what kind of package it is."""
    found = read_image(config, parsed.layers)
    if kinds.is_wasm_image(parsed):
        assert parsed.config is not None  # is_wasm_image: a manifest with a config
        return _with(found, found.extra, {"manifest.config.mediaType": parsed.config.media_type})
    more = {"manifest.config.mediaType": kinds.WASM_CONFIG}
    if parsed.layers:
        first = parsed.layers[0]
        more |= {
            "manifest.layers.mediaType": first.media_type,
            _TITLE: first.annotations.get(_TITLE, "")[:MAX_TEXT],
        }
    return _with(found, config, more)


def _with(found: Details, extra: Mapping[str, Any], more: Mapping[str, Any]) -> Details:
    return Details(
        platform=found.platform, created=found.created, author=found.author, extra={**extra, **more},
        history=found.history, error=found.error,
    )  # fmt: skip
