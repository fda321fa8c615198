"""Types by media types alone."""

import pytest

from haven_registry.artifacts.kinds import COSIGN, NOTATION, SUBJECT, accessory_type, artifact_type, subject_of_tag
from haven_registry.oci import media_types as mt


@pytest.mark.parametrize(
    ("media_type", "declared", "config", "expected"),
    [
        (mt.OCI_MANIFEST, mt.OCI_CONFIG, mt.OCI_CONFIG, "IMAGE"),
        (mt.DOCKER_MANIFEST, mt.DOCKER_CONFIG, mt.DOCKER_CONFIG, "IMAGE"),
        (mt.OCI_INDEX, "", "", "IMAGE"),
        (mt.OCI_INDEX, "application/vnd.cnab.manifest.v1", "", "CNAB"),
        (mt.OCI_MANIFEST, mt.HELM_CONFIG, mt.HELM_CONFIG, "CHART"),
        (mt.OCI_MANIFEST, "application/vnd.cncf.model.manifest.v1+json", mt.OCI_EMPTY, "CNAI"),
        (mt.OCI_MANIFEST, "", "application/vnd.wasm.config.v1+json", "WASM"),
        (mt.OCI_MANIFEST, "", "application/vnd.acme.rocket.config", "ROCKET"),
        (mt.OCI_MANIFEST, "", "application/vnd.acme.rocket.config.v1+json", "ROCKET"),
        (mt.OCI_MANIFEST, "", "application/vnd.acme.config", "UNKNOWN"),
        (mt.OCI_MANIFEST, "text/plain", mt.OCI_EMPTY, "UNKNOWN"),
    ],
)
def test_type_of_media_types(media_type: str, declared: str, config: str, expected: str) -> None:
    assert artifact_type(media_type, declared, config) == expected


def test_no_hostile_media_type_becomes_a_type() -> None:
    for config in ("application/vnd.a." + ".config" * 30, "application/vnd.a.<b>.config", "application/vnd.a.x" * 12):
        assert artifact_type(mt.OCI_MANIFEST, "", config) == "UNKNOWN"


def test_accessories_by_type_and_by_tag() -> None:
    assert accessory_type(mt.NOTATION_SIGNATURE) == NOTATION
    assert accessory_type(mt.SIGSTORE_BUNDLE) == COSIGN
    assert accessory_type("text/plain") == SUBJECT
    assert subject_of_tag("sha256-" + "a" * 64 + ".sig") == ("sha256:" + "a" * 64, COSIGN)
    assert subject_of_tag("sha256-" + "a" * 64 + ".att") == ("sha256:" + "a" * 64, SUBJECT)
    assert subject_of_tag("sha512-" + "a" * 64 + ".sig") is None
    assert subject_of_tag("v1.sig") is None
