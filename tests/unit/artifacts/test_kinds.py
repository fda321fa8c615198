"""Types by manifests alone."""

import json

import pytest

from haven_registry.artifacts.kinds import (
    COSIGN,
    NOTATION,
    NYDUS,
    SUBJECT,
    accessory_type,
    artifact_kind,
    shown_media_type,
    subject_of_tag,
)
from haven_registry.oci import media_types as mt
from haven_registry.oci.manifest import ParsedManifest, parse_manifest
from tests.support import artifacts
from tests.support.artifacts import Artifact
from tests.support.documents import digest_of, index

IMAGE = digest_of(b"image")
SIGN, SLSA = "https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1"
SBOM_TYPE = "application/vnd.goharbor.harbor.sbom.v1"


def parsed(payload: bytes | Artifact) -> ParsedManifest:
    return parse_manifest(payload if isinstance(payload, bytes) else payload.payload, None)


def typed(declared: str, config: str) -> ParsedManifest:
    return parsed(Artifact([], config=(config, b"{}"), artifactType=declared or None))


@pytest.mark.parametrize(
    ("declared", "config", "expected"),
    [
        ("", mt.OCI_CONFIG, "IMAGE"),
        ("", mt.DOCKER_CONFIG, "IMAGE"),
        ("", mt.HELM_CONFIG, "CHART"),
        ("application/vnd.cncf.model.manifest.v1+json", mt.OCI_EMPTY, "CNAI"),
        ("", "application/vnd.cnai.model.config.v1+json", "CNAI"),
        ("", "application/vnd.wasm.config.v1+json", "WASM"),
        ("", "application/vnd.acme.rocket.config", "ROCKET"),
        ("", "application/vnd.acme.rocket.config.v1+json", "ROCKET"),
        ("", "application/vnd.acme.config", "UNKNOWN"),
        ("text/plain", mt.OCI_EMPTY, "UNKNOWN"),
        (SBOM_TYPE, SBOM_TYPE, "SBOM"),
        ("application/vnd.cyclonedx+json;version=1.5", mt.OCI_EMPTY, "SBOM"),
        ("Application/SPDX+JSON", mt.OCI_EMPTY, "SBOM"),
        ("application/vnd.cyclonedx+json", mt.OCI_CONFIG, "SBOM"),
        ("", mt.NOTATION_SIGNATURE, "SIGNATURE"),
        (mt.COSIGN_SIGNATURE_ARTIFACT, mt.OCI_EMPTY, "SIGNATURE"),
    ],
)
def test_type_of_media_types(declared: str, config: str, expected: str) -> None:
    assert artifact_kind(typed(declared, config)) == expected


def test_types_of_what_tools_write() -> None:
    assert artifact_kind(parsed(artifacts.cosign_signature())) == "SIGNATURE"
    assert artifact_kind(parsed(artifacts.cosign_attestation())) == "ATTESTATION"
    assert artifact_kind(parsed(artifacts.cosign_sbom())) == "SBOM"
    assert artifact_kind(parsed(artifacts.sigstore_bundle(IMAGE, SIGN))) == "SIGNATURE"
    assert artifact_kind(parsed(artifacts.sigstore_bundle(IMAGE, SLSA))) == "ATTESTATION"
    assert artifact_kind(parsed(artifacts.notation_signature(IMAGE))) == "SIGNATURE"
    assert artifact_kind(parsed(artifacts.buildkit_attestation())) == "ATTESTATION"
    assert artifact_kind(parsed(artifacts.buildkit_attestation(IMAGE))) == "ATTESTATION"
    assert artifact_kind(parsed(artifacts.buildkit_index(IMAGE, digest_of(b"a")))) == "IMAGE"
    assert artifact_kind(parsed(artifacts.cache_image())) == "CACHE"
    assert artifact_kind(parsed(artifacts.cache_index()[0])) == "CACHE"
    assert artifact_kind(parsed(artifacts.model({}))) == "CNAI"
    assert artifact_kind(parsed(artifacts.model({}, organisation="cnai"))) == "CNAI"
    assert artifact_kind(parsed(index())) == "IMAGE"
    assert artifact_kind(parsed(index(artifactType="application/vnd.cnab.manifest.v1"))) == "CNAB"
    assert artifact_kind(parsed(artifacts.cnab_index(IMAGE, IMAGE))) == "CNAB"
    for annotations in ({"module.wasm.image/variant": "compat"}, {"run.oci.handler": "wasm"}):
        assert artifact_kind(parsed(artifacts.wasm_image(annotations))) == "WASM"
    assert artifact_kind(parsed(artifacts.wasm_image({"run.oci.handler": "krun"}))) == "IMAGE"
    assert artifact_kind(parsed(artifacts.wasm_module())) == "WASM"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (index(), mt.OCI_INDEX),
        (artifacts.cnab_index(IMAGE, IMAGE), "application/vnd.cnab.manifest.v1"),
        (index(annotations={"org.opencontainers.artifactType": "x/" + "y" * 255}), mt.OCI_INDEX),
        (index(annotations={"org.opencontainers.artifactType": "<\n>"}), mt.OCI_INDEX),
        (artifacts.cache_image(), mt.BUILDKIT_CACHE_CONFIG),
        (artifacts.wasm_image({"run.oci.handler": "wasm"}), "application/vnd.wasm.config.v1+json"),
        (artifacts.wasm_image({}), mt.OCI_CONFIG),
    ],
)
def test_the_media_type_that_is_shown(payload: bytes | Artifact, expected: str) -> None:
    assert shown_media_type(parsed(payload)) == expected


def test_layers_decide_only_when_all_are_of_one_kind() -> None:
    layer, signed = (mt.OCI_LAYER, b"x"), (mt.COSIGN_SIGNATURE, b"s")
    for layers, expected in (
        ([signed, signed], "SIGNATURE"), ([layer, signed], "IMAGE"), ([layer], "IMAGE"), ([], "IMAGE"),
        ([signed, ("application/spdx+json", b"{}")], "IMAGE"), ([(mt.OCI_CONFIG, b"x")], "IMAGE"),
    ):  # fmt: skip
        assert artifact_kind(parsed(Artifact(layers, config=(mt.OCI_CONFIG, b"{}")))) == expected, layers
    rocket = ("application/vnd.acme.rocket.config", b"{}")
    assert artifact_kind(parsed(Artifact([signed], config=rocket))) == "ROCKET"


def test_no_hostile_media_type_becomes_a_type() -> None:
    for config in ("application/vnd.a." + ".config" * 30, "application/vnd.a.<b>.config", "application/vnd.a.x" * 12):
        assert artifact_kind(typed("", config)) == "UNKNOWN"


def test_accessories_by_type_and_by_tag() -> None:
    assert accessory_type(parsed(artifacts.notation_signature(IMAGE))) == NOTATION
    assert accessory_type(parsed(artifacts.sigstore_bundle(IMAGE, SIGN))) == COSIGN
    assert accessory_type(parsed(artifacts.sigstore_bundle(IMAGE, SLSA))) == SUBJECT
    assert accessory_type(parsed(artifacts.buildkit_attestation(IMAGE))) == SUBJECT
    assert accessory_type(parsed(artifacts.attached_sbom(IMAGE, "application/spdx+json", b"{}"))) == SUBJECT
    assert accessory_type(parsed(artifacts.attached_sbom(IMAGE, SBOM_TYPE, b"{}"))) == "sbom.harbor"
    assert accessory_type(parsed(artifacts.attached_sbom(None, SBOM_TYPE, b"{}"))) == ""
    nydus = [(mt.OCI_LAYER, b"x", {"containerd.io/snapshot/nydus-bootstrap": "true"})]
    accelerated = Artifact(nydus, config=(mt.OCI_CONFIG, b"{}"), subject=artifacts.subject(IMAGE))
    assert (accessory_type(parsed(accelerated)), artifact_kind(parsed(accelerated))) == (NYDUS, "IMAGE")
    assert subject_of_tag("sha256-" + "a" * 64 + ".sig") == ("sha256:" + "a" * 64, COSIGN)
    assert subject_of_tag("sha256-" + "a" * 64 + ".att") == ("sha256:" + "a" * 64, SUBJECT)
    assert subject_of_tag("sha512-" + "a" * 64 + ".sig") is None
    assert subject_of_tag("v1.sig") is None


def test_a_subject_alone_is_an_accessory() -> None:
    document = json.loads(artifacts.cosign_sbom().payload) | {"subject": artifacts.subject(IMAGE)}
    assert accessory_type(parsed(json.dumps(document).encode())) == SUBJECT
