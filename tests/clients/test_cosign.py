"""cosign: keys, signatures and attestations, all offline."""

from __future__ import annotations

import json

import pytest

from tests.clients.conftest import Remote
from tests.support.oci import index, random_image
from tests.support.tools import Sandbox, requires

pytestmark = requires("cosign")

SIGN = ["--yes", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry"]
VERIFY = ["--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-http-registry"]


@pytest.fixture
def cosign(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in, with a key pair in the working directory."""
    sandbox.environment |= {"COSIGN_PASSWORD": "", "COSIGN_EXPERIMENTAL": "0"}
    server = remote.server
    sandbox.run("cosign", "login", "-u", server.admin_user, "-p", server.admin_password, server.host_port)
    sandbox.run("cosign", "generate-key-pair")
    return sandbox


def tag_of(digest: str, suffix: str) -> str:
    return f"{digest.replace(':', '-')}.{suffix}"


def test_sign_and_verify(cosign: Sandbox, remote: Remote) -> None:
    image = remote.push(random_image(), "v1")
    unsigned = cosign.run("cosign", "verify", *VERIFY, remote.at(image), ok=False)
    assert "no signatures found" in unsigned.stderr
    cosign.run("cosign", "sign", *SIGN, "-a", "stage=test", remote.at(image))
    (claim,) = cosign.json("cosign", "verify", *VERIFY, "-a", "stage=test", remote.tag("v1"))
    assert claim["critical"]["image"]["docker-manifest-digest"] == image.digest
    assert remote.exists(tag_of(image.digest, "sig"))
    assert remote.digest("v1") == image.digest


def test_second_signature_is_added_to_the_first(cosign: Sandbox, remote: Remote) -> None:
    """cosign reads the signature tag, appends, and writes it back."""
    image = remote.push(random_image(), "v1")
    for stage in ("build", "release"):
        cosign.run("cosign", "sign", *SIGN, "-a", f"stage={stage}", remote.at(image))
    claims = cosign.json("cosign", "verify", *VERIFY, remote.at(image))
    assert {claim["optional"]["stage"] for claim in claims} == {"build", "release"}


def test_recursive_signature_of_an_index(cosign: Sandbox, remote: Remote) -> None:
    both = remote.push(index([random_image(architecture=name) for name in ("amd64", "arm64")]), "multi")
    cosign.run("cosign", "sign", *SIGN, "--recursive", remote.at(both))
    for manifest in both.manifests():
        cosign.run("cosign", "verify", *VERIFY, remote.at(manifest))


def test_attest_and_verify(cosign: Sandbox, remote: Remote) -> None:
    image = remote.push(random_image(), "v1")
    (cosign.folder / "predicate.json").write_text('{"made": "here"}')
    words = ["--type", "https://example.com/made/v1"]
    cosign.run("cosign", "attest", *SIGN, *words, "--predicate", "predicate.json", remote.at(image))
    said = cosign.run("cosign", "verify-attestation", *VERIFY, *words, remote.at(image)).stdout
    assert json.loads(said)["payloadType"] == "application/vnd.in-toto+json"
    assert remote.exists(tag_of(image.digest, "att"))
    other = remote.push(random_image(), "other")
    cosign.run("cosign", "verify-attestation", *VERIFY, *words, remote.at(other), ok=False)


def test_signature_of_another_key_is_refused(cosign: Sandbox, remote: Remote) -> None:
    image = remote.push(random_image(), "v1")
    cosign.run("cosign", "sign", *SIGN, remote.at(image))
    (cosign.folder / "cosign.key").rename(cosign.folder / "old.key")
    (cosign.folder / "cosign.pub").rename(cosign.folder / "old.pub")
    cosign.run("cosign", "generate-key-pair")
    cosign.run("cosign", "verify", *VERIFY, remote.at(image), ok=False)


def test_image_travels_with_its_signature(cosign: Sandbox, remote: Remote) -> None:
    image = remote.push(random_image(), "v1")
    cosign.run("cosign", "sign", *SIGN, remote.at(image))
    other = Remote(remote.server, f"{remote.repository}/copy")
    cosign.run("cosign", "copy", "--allow-http-registry", remote.tag("v1"), other.tag("v1"))
    cosign.run("cosign", "verify", *VERIFY, "--check-claims=false", other.tag("v1"))
