"""What an artifact is, told by its media types alone (harbor: src/controller/artifact/processor).

Types are read off the manifest's columns, so that they are right as soon as a push is answered, and cost no read.
"""

import re

from haven_registry.oci import media_types
from haven_registry.oci.media_types import INDEX_TYPES

IMAGE, CHART, CNAB, WASM, SBOM, CNAI, UNKNOWN = "IMAGE", "CHART", "CNAB", "WASM", "SBOM", "CNAI", "UNKNOWN"

CNAI_MANIFEST = "application/vnd.cncf.model.manifest.v1+json"
CNAI_CONFIG = "application/vnd.cncf.model.config.v1+json"
HARBOR_SBOM = "application/vnd.goharbor.harbor.sbom.v1"

TYPES = {
    media_types.OCI_CONFIG: IMAGE,
    media_types.DOCKER_CONFIG: IMAGE,
    media_types.HELM_CONFIG: CHART,
    "application/vnd.cnab.config.v1+json": CNAB,
    "application/vnd.cnab.bundle.config.v1+json": CNAB,
    "application/vnd.cnab.manifest.v1": CNAB,
    "application/vnd.wasm.config.v0+json": WASM,
    "application/vnd.wasm.config.v1+json": WASM,
    HARBOR_SBOM: SBOM,
    CNAI_MANIFEST: CNAI,
    CNAI_CONFIG: CNAI,
}

# Harbor's names of accessories.
COSIGN, NOTATION, SBOM_ACCESSORY, SUBJECT = (
    "signature.cosign",
    "signature.notation",
    "sbom.harbor",
    "subject.accessory",
)
ACCESSORY_TYPES = {
    media_types.COSIGN_SIGNATURE: COSIGN,
    media_types.COSIGN_SIGNATURE_ARTIFACT: COSIGN,
    media_types.SIGSTORE_BUNDLE: COSIGN,
    media_types.NOTATION_SIGNATURE: NOTATION,
    HARBOR_SBOM: SBOM_ACCESSORY,
}

# application/vnd.{company}.{type}.config.{version}+{format}, the last parts optional (harbor: processor/default.go)
_NAMED = re.compile(r"application/vnd\.[^.+/]+\.(\w[\w.-]*?)\.config(?:[.+].*)?", re.ASCII)
_COSIGN_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})\.(sig|att|sbom)")


def artifact_type(media_type: str, declared_type: str, config_type: str) -> str:
    """Harbor's `type` of a manifest: of its artifactType where that is known, else of its config, else the middle of
    the config's name (`application/vnd.acme.rocket.config` is ROCKET), else UNKNOWN. An index is an IMAGE, unless its
    artifactType says otherwise."""
    for candidate in (declared_type, config_type):
        if candidate in TYPES:
            return TYPES[candidate]
    if media_type in INDEX_TYPES:
        return IMAGE
    for candidate in (config_type, declared_type):
        if found := _NAMED.fullmatch(candidate):
            return found[1].upper()
    return UNKNOWN


def accessory_type(declared_type: str) -> str:
    """Harbor's type of a manifest with a subject."""
    return ACCESSORY_TYPES.get(declared_type, SUBJECT)


def subject_of_tag(tag: str) -> tuple[str, str] | None:
    """Of a tag in Cosign's scheme (`sha256-<hex>.sig`): the digest of its subject and the accessory's type."""
    found = _COSIGN_TAG.fullmatch(tag)
    if found is None or len(found[2]) != {"sha256": 64, "sha512": 128}[found[1]]:
        return None
    return f"{found[1]}:{found[2]}", COSIGN if found[3] == "sig" else SUBJECT
