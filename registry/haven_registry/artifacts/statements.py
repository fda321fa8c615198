"""Signatures and attestations: what their manifests say of them. Nothing is verified here, and no layer is read."""

import json
from collections.abc import Mapping
from typing import Any

from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import MAX_TEXT, Details
from haven_registry.oci import media_types
from haven_registry.oci.descriptor import Descriptor
from haven_registry.oci.manifest import ParsedManifest

MAX_LISTED = 100
"""Signatures or statements of one manifest that are shown."""

# cosign: pkg/oci/static, pkg/cosign/fetch.go
_CERTIFICATE, _LOG_ENTRY = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle"
_THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"  # notaryproject: specs/signature-specification.md
_PREDICATES = ("in-toto.io/predicate-type", "predicateType")  # of layers: BuildKit's, and Cosign's
_CREATED = "org.opencontainers.image.created"


def read_signature(parsed: ParsedManifest) -> Details:
    """Cosign's (simple signing or bundle) or Notation's: format, and each signature."""
    kind = kinds.bare(parsed.artifact_type)
    if kind == media_types.NOTATION_SIGNATURE:
        return _details(parsed, "notation", [_named(layer) for layer in parsed.layers], _notation(parsed.annotations))
    if kind == media_types.SIGSTORE_BUNDLE:
        return _details(parsed, "sigstore-bundle", [_named(layer) for layer in parsed.layers])
    signatures = [
        _named(layer)
        | {
            "has_certificate": bool(layer.annotations.get(_CERTIFICATE)),
            "has_log_entry": bool(layer.annotations.get(_LOG_ENTRY)),
        }
        for layer in parsed.layers
    ]
    return _details(parsed, "cosign", signatures)


def read_attestation(parsed: ParsedManifest) -> Details:
    """In-toto statements, BuildKit's or Cosign's: what each is about is its predicate's type."""
    whole = parsed.annotations.get(kinds.BUNDLE_PREDICATE, "")
    statements = [
        _named(layer)
        | {"predicate_type": next(filter(None, map(layer.annotations.get, _PREDICATES)), whole)[:MAX_TEXT]}
        for layer in parsed.layers
    ]
    envelopes = {kinds.bare(layer.media_type) for layer in parsed.layers}
    is_bundle = kinds.bare(parsed.artifact_type) == media_types.SIGSTORE_BUNDLE
    form = "sigstore-bundle" if is_bundle else "dsse" if kinds.DSSE in envelopes else "in-toto"
    return _details(parsed, form, statements)


def _details(
    parsed: ParsedManifest, form: str, layers: list[dict[str, Any]], more: Mapping[str, Any] | None = None
) -> Details:
    created = parsed.annotations.get(_CREATED, "")[:MAX_TEXT]
    extra = {"format": form, "number": len(layers), "layers": layers[:MAX_LISTED], **(more or {})}
    return Details(created=created, extra=extra)


def _named(layer: Descriptor) -> dict[str, Any]:
    return {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size}


def _notation(annotations: Mapping[str, str]) -> dict[str, Any]:
    text = annotations.get(_THUMBPRINTS, "")
    try:
        listed = json.loads(text) if 0 < len(text) < MAX_TEXT else []
    except (ValueError, RecursionError):
        listed = []
    prints = listed if isinstance(listed, list) else []
    return {"certificates": [each for each in prints if isinstance(each, str)][:MAX_LISTED]}
