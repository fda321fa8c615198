"""What an artifact is, told by its manifest alone (harbor: src/controller/artifact/processor).

A push writes type and accessory type into columns of the manifest: they are right as soon as it is answered, cost no read,
and lists filter by them.
"""

import re

from haven_registry.oci import media_types as types
from haven_registry.oci.descriptor import is_media_type
from haven_registry.oci.manifest import ParsedManifest
from haven_registry.oci.media_types import INDEX_TYPES

IMAGE, CHART, CNAB, WASM, SBOM, CNAI, UNKNOWN = "IMAGE", "CHART", "CNAB", "WASM", "SBOM", "CNAI", "UNKNOWN"
# Haven's own: Harbor calls these IMAGE where they have an image's config, and UNKNOWN elsewhere
SIGNATURE, ATTESTATION, CACHE = "SIGNATURE", "ATTESTATION", "CACHE"

WASM_CONFIG = "application/vnd.wasm.config.v1+json"
CNAI_MANIFEST = "application/vnd.cncf.model.manifest.v1+json"
CNAI_CONFIG = "application/vnd.cncf.model.config.v1+json"
HARBOR_SBOM = "application/vnd.goharbor.harbor.sbom.v1"
DSSE = "application/vnd.dsse.envelope.v1+json"

# what cosign attach sbom (pkg/types/media.go), oras, syft, trivy and Harbor itself write, without parameters
SBOM_FORMATS = {
    "application/spdx+json": "SPDX",
    "spdx+json": "SPDX",
    "text/spdx": "SPDX",
    "text/spdx+json": "SPDX",
    "text/spdx+xml": "SPDX",
    "application/vnd.cyclonedx": "CycloneDX",
    "application/vnd.cyclonedx+json": "CycloneDX",
    "application/vnd.cyclonedx+xml": "CycloneDX",
    "application/vnd.syft+json": "Syft",
    HARBOR_SBOM: "",
}
TYPES = {
    types.OCI_CONFIG: IMAGE,
    types.DOCKER_CONFIG: IMAGE,
    types.HELM_CONFIG: CHART,
    "application/vnd.cnab.config.v1+json": CNAB,
    "application/vnd.cnab.bundle.config.v1+json": CNAB,
    "application/vnd.cnab.manifest.v1": CNAB,
    "application/vnd.wasm.config.v0+json": WASM,
    WASM_CONFIG: WASM,
    CNAI_MANIFEST: CNAI,
    CNAI_CONFIG: CNAI,
    "application/vnd.cnai.model.manifest.v1+json": CNAI,
    "application/vnd.cnai.model.config.v1+json": CNAI,
    types.COSIGN_SIGNATURE: SIGNATURE,
    types.COSIGN_SIGNATURE_ARTIFACT: SIGNATURE,
    types.NOTATION_SIGNATURE: SIGNATURE,
    types.SIGSTORE_BUNDLE: SIGNATURE,
    types.IN_TOTO: ATTESTATION,
    DSSE: ATTESTATION,
    "application/vnd.dev.cosign.artifact.att.v1+json": ATTESTATION,
    "application/vnd.docker.attestation.manifest.v1+json": ATTESTATION,
    "application/vnd.dev.cosign.artifact.sbom.v1+json": SBOM,
    types.BUILDKIT_CACHE_CONFIG: CACHE,
} | dict.fromkeys(SBOM_FORMATS, SBOM)

# a manifest whose type says nothing is what all its layers are
_BY_LAYERS = frozenset({SIGNATURE, ATTESTATION, SBOM})
BY_COSIGN_TAG = _BY_LAYERS
"""What an accessory by its tag can be."""

# Harbor's names of accessories
COSIGN, NOTATION, SBOM_ACCESSORY, NYDUS, SUBJECT = (
    "signature.cosign",
    "signature.notation",
    "sbom.harbor",
    "accelerator.nydus",
    "subject.accessory",
)
ACCESSORY_TYPES = {
    types.COSIGN_SIGNATURE: COSIGN,
    types.COSIGN_SIGNATURE_ARTIFACT: COSIGN,
    types.NOTATION_SIGNATURE: NOTATION,
    HARBOR_SBOM: SBOM_ACCESSORY,
}

BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"
_COSIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
_NYDUS_LAYER = "containerd.io/snapshot/nydus-bootstrap"

# how an index said what it is before it could have an artifactType; cnab-to-oci still does
_INDEX_TYPE = "org.opencontainers.artifactType"
CNAB_PART = ("io.cnab.manifest.type", "config")
"""The annotation of the child of a CNAB's index that has its bundle.json for a config (cnab-to-oci)."""

# what containerd's shims and crun know an image by whose entrypoint is a module (harbor: processor/wasm)
_WASM_IMAGES = {"module.wasm.image/variant": "compat", "run.oci.handler": "wasm"}

# application/vnd.{company}.{type}.config.{version}+{format}, the last parts optional (harbor: processor/default.go)
_NAMED = re.compile(r"application/vnd\.[^.+/]+\.(\w[\w.-]*?)\.config(?:[.+].*)?", re.ASCII)
_COSIGN_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})\.(sig|att|sbom)")


def artifact_kind(parsed: ParsedManifest) -> str:
    """Harbor's `type` of a manifest: of its artifactType where that is known, else of its config, else the middle of the
    config's name (`application/vnd.acme.rocket.config` is ROCKET), else UNKNOWN. An index is an IMAGE, unless its
    artifactType or the annotation of that name, or a child that is a config of BuildKit's, says otherwise; an image whose
    annotations say that it is run as a module is WASM. What has an image's config, or none that is known, and only layers
    of a signature, an attestation or an SBOM, is that."""
    declared, config = bare(parsed.declared_artifact_type), bare(parsed.config.media_type if parsed.config else "")
    if parsed.media_type in INDEX_TYPES:
        declared = declared or bare(parsed.annotations.get(_INDEX_TYPE, ""))
    if declared == types.SIGSTORE_BUNDLE:
        return SIGNATURE if _is_signature(parsed) else ATTESTATION
    known = TYPES.get(declared) or TYPES.get(config)
    if known not in (None, IMAGE):
        return str(known)
    if parsed.media_type in INDEX_TYPES:
        is_cache = any(child.media_type == types.BUILDKIT_CACHE_CONFIG for child in parsed.manifests)
        return CACHE if is_cache else IMAGE
    if is_wasm_image(parsed):
        return WASM
    if not known:
        for candidate in (config, declared):
            if found := _NAMED.fullmatch(candidate):
                return found[1].upper()
    layers = {TYPES.get(bare(layer.media_type), "") for layer in parsed.layers}
    if len(layers) == 1 and layers <= _BY_LAYERS:
        return layers.pop()
    return known or UNKNOWN


def shown_media_type(parsed: ParsedManifest) -> str:
    """Harbor's `media_type`: that of the config, of an index its own; what an annotation says instead."""
    if parsed.config is None:
        said = parsed.annotations.get(_INDEX_TYPE, "")
        return said if said and is_media_type(said) else parsed.media_type
    return WASM_CONFIG if is_wasm_image(parsed) else parsed.config.media_type


def is_wasm_image(parsed: ParsedManifest) -> bool:
    """Whether it is a module that is packed as an image: its config is that of one."""
    return parsed.config is not None and any(
        parsed.annotations.get(name) == value for name, value in _WASM_IMAGES.items()
    )


def is_described(parsed: ParsedManifest) -> bool:
    """Whether its config, of a type that Haven does not know, is told to be JSON (harbor: processor/default.go)."""
    config = bare(parsed.config.media_type if parsed.config else "")
    return config not in TYPES and config.endswith("+json") and _NAMED.fullmatch(config) is not None


def accessory_type(parsed: ParsedManifest) -> str:
    """Harbor's type of a manifest with a subject; '' without one."""
    if parsed.subject is None:
        return ""
    declared = bare(parsed.artifact_type)
    if declared == types.SIGSTORE_BUNDLE:
        return COSIGN if _is_signature(parsed) else SUBJECT
    if TYPES.get(declared) == IMAGE and parsed.layers and _NYDUS_LAYER in parsed.layers[-1].annotations:
        return NYDUS
    return ACCESSORY_TYPES.get(declared, SUBJECT)


def bare(media_type: str) -> str:
    """A media type in lower case and without parameters: `application/vnd.cyclonedx+json;version=1.5`."""
    return types.normalise_content_type(media_type)


def subject_of_tag(tag: str) -> tuple[str, str] | None:
    """Of a tag in Cosign's scheme (`sha256-<hex>.sig`): the digest of its subject and the accessory's type."""
    found = _COSIGN_TAG.fullmatch(tag)
    if found is None or len(found[2]) != {"sha256": 64, "sha512": 128}[found[1]]:
        return None
    return f"{found[1]}:{found[2]}", COSIGN if found[3] == "sig" else SUBJECT


def _is_signature(parsed: ParsedManifest) -> bool:
    """Of a Sigstore bundle: a signature of Cosign's, not a statement about something (cosign: bundle annotations)."""
    return parsed.annotations.get(BUNDLE_PREDICATE, _COSIGN_PREDICATE) == _COSIGN_PREDICATE
