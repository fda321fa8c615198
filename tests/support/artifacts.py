"""Artifacts as tools write them, from byte strings: the shape of their manifests, with the blobs to push before.

Shapes: cosign 2.4 (sign, attest, attach sbom; bundle of 3.0), notation 1.3, oras 1.2 attach, docker buildx 0.20 with
BuildKit 0.20 (attestations, both caches), modctl 0.1, cnab-to-oci 0.4, wasm-to-oci 0.1, harbor 2.13.
"""

import json
from collections.abc import Sequence
from typing import Any

from haven_registry.oci import media_types
from tests.support.documents import descriptor, digest_of

EMPTY = b"{}"
CONFIG = (
    b'{"architecture":"","created":"0001-01-01T00:00:00Z","os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}'
)
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/provenance/v0.2"}'
SIGNED = b'{"critical":{"type":"cosign container image signature"},"optional":null}'


class Artifact:
    """A manifest and the blobs it names."""

    def __init__(
        self,
        layers: Sequence[tuple[str, bytes] | tuple[str, bytes, dict[str, str]]],
        *,
        config: tuple[str, bytes] = (media_types.OCI_EMPTY, EMPTY),
        **more: Any,
    ) -> None:
        self.blobs = [config[1], *(layer[1] for layer in layers)]
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _named(*config),
            "layers": [_named(*layer) for layer in layers],
        }
        self.payload = json.dumps(document | {key: value for key, value in more.items() if value is not None}).encode()

    @property
    def digest(self) -> str:
        return digest_of(self.payload)


def _named(media_type: str, data: bytes, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    found = descriptor(media_type, digest_of(data), len(data))
    return found | ({"annotations": annotations} if annotations else {})


def subject(digest: str) -> dict[str, Any]:
    """The descriptor of an image."""
    return descriptor(media_types.OCI_MANIFEST, digest)


def cosign_signature() -> Artifact:
    """`cosign sign`, under the tag sha256-….sig."""
    annotations = {"dev.cosignproject.cosign/signature": "MEUC", "dev.sigstore.cosign/certificate": "-----BEGIN"}
    return Artifact([(media_types.COSIGN_SIGNATURE, SIGNED, annotations)], config=(media_types.OCI_CONFIG, CONFIG))


def cosign_attestation() -> Artifact:
    """`cosign attest`, under the tag sha256-….att."""
    envelope = b'{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}'
    annotations = {"dev.cosignproject.cosign/signature": "", "predicateType": "https://slsa.dev/provenance/v1"}
    layers = [("application/vnd.dsse.envelope.v1+json", envelope, annotations)]
    return Artifact(layers, config=(media_types.OCI_CONFIG, CONFIG))


def cosign_sbom() -> Artifact:
    """`cosign attach sbom --type spdx`, under the tag sha256-….sbom."""
    return Artifact([("text/spdx", b"SPDXVersion: SPDX-2.3")], config=(media_types.OCI_CONFIG, CONFIG))


def sigstore_bundle(of: str, predicate: str) -> Artifact:
    """What cosign writes as a referrer: a signature or an attestation, by its predicate."""
    return Artifact(
        [(media_types.SIGSTORE_BUNDLE, b'{"mediaType":"x"}')], artifactType=media_types.SIGSTORE_BUNDLE,
        subject=subject(of),
        annotations={
            "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicate,
            "org.opencontainers.image.created": "2025-01-24T20:47:58Z",
        },
    )  # fmt: skip


def notation_signature(of: str, thumbprints: str = '["ab12"]') -> Artifact:
    """`notation sign`, a referrer."""
    return Artifact(
        [("application/jose+json", b"{}")], artifactType=media_types.NOTATION_SIGNATURE, subject=subject(of),
        annotations={"io.cncf.notary.x509chain.thumbprint#S256": thumbprints},
    )  # fmt: skip


def attached_sbom(of: str | None, media_type: str, document: bytes, *, artifact_type: str | None = None) -> Artifact:
    """`oras attach --artifact-type …`; with no subject `oras push`."""
    return Artifact(
        [(media_type, document, {"org.opencontainers.image.title": "sbom"})], artifactType=artifact_type or media_type,
        subject=None if of is None else subject(of),
    )  # fmt: skip


def buildkit_attestation(of: str | None = None) -> Artifact:
    """The manifest that BuildKit puts beside an image in its index; with a subject as with oci-artifact=true."""
    layers = [
        (media_types.IN_TOTO, STATEMENT, {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}),
        (media_types.IN_TOTO, STATEMENT + b" ", {"in-toto.io/predicate-type": "https://spdx.dev/Document"}),
    ]
    if of is None:
        return Artifact(layers, config=(media_types.OCI_CONFIG, CONFIG))
    kind = "application/vnd.docker.attestation.manifest.v1+json"
    return Artifact(layers, artifactType=kind, subject=subject(of))


def buildkit_index(image: str, attestation: str) -> bytes:
    """The index of an image and its attestation."""
    about = {"vnd.docker.reference.digest": image, "vnd.docker.reference.type": "attestation-manifest"}
    children = [
        subject(image) | {"platform": {"architecture": "amd64", "os": "linux"}},
        subject(attestation) | {"platform": {"architecture": "unknown", "os": "unknown"}, "annotations": about},
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children}).encode()


def cnab_index(config: str, invocation: str) -> bytes:
    """What cnab-to-oci pushes: a bundle, told by the config of its first child."""
    children = [
        subject(digest) | {"annotations": {"io.cnab.manifest.type": part}}
        for digest, part in ((invocation, "invocation"), (config, "config"))
    ]
    annotations = {"org.opencontainers.artifactType": "application/vnd.cnab.manifest.v1"}
    return json.dumps({"schemaVersion": 2, "manifests": children, "annotations": annotations}).encode()


def wasm_image(annotations: dict[str, str]) -> Artifact:
    """A module packed as an image, as buildah does with these annotations."""
    config = b'{"os":"linux","architecture":"amd64","author":"me","history":[{"created_by":"COPY a.wasm /"}]}'
    layers = [(media_types.OCI_LAYER_GZIP, b"module")]
    return Artifact(layers, config=(media_types.OCI_CONFIG, config), annotations=annotations)


def wasm_module() -> Artifact:
    """What wasm-to-oci pushes."""
    layer = ("application/vnd.wasm.content.layer.v1+wasm", b"\0asm", {"org.opencontainers.image.title": "a.wasm"})
    return Artifact([layer], config=("application/vnd.wasm.config.v1+json", EMPTY))


def cache_image() -> Artifact:
    """`--cache-to type=registry,image-manifest=true`."""
    config = (media_types.BUILDKIT_CACHE_CONFIG, b'{"layers":[{"blob":"x"}],"records":[]}')
    return Artifact(
        [(media_types.OCI_LAYER_GZIP, b"layer 1"), (media_types.OCI_LAYER_GZIP, b"layer two")], config=config
    )


def cache_index() -> tuple[bytes, list[bytes]]:
    """`--cache-to type=registry,image-manifest=false`: an index of layers and a config. With its blobs."""
    blobs = [b"layer 1", b"layer two", b'{"layers":[],"records":[]}']
    types = [media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_GZIP, media_types.BUILDKIT_CACHE_CONFIG]
    children = [_named(media_type, data) for media_type, data in zip(types, blobs, strict=True)]
    return json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children}).encode(), blobs


def model(files: dict[str, tuple[str, bytes]], *, organisation: str = "cncf", config: bytes | None = None) -> Artifact:
    """An AI model by modelpack's specification: path → (what follows `model.` in its media type, bytes)."""
    prefix = f"application/vnd.{organisation}.model"
    layers = [
        (f"{prefix}.{kind}", data, {f"org.{organisation}.model.filepath": path}) for path, (kind, data) in files.items()
    ]
    described = (
        config
        if config is not None
        else b'{"descriptor":{"name":"tiny"},"config":{"paramSize":"8b"},"modelfs":{"type":"layers"}}'
    )
    return Artifact(layers, config=(f"{prefix}.config.v1+json", described), artifactType=f"{prefix}.manifest.v1+json")
