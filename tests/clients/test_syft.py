"""syft: reads an image out of the registry, and its SBOMs are attached, listed, and compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.conftest import Remote, login
from tests.clients.test_cosign import SIGN, cosign  # noqa: F401  # a fixture
from tests.clients.test_kinds import accessories, read
from tests.support.oci import image, tar_layer
from tests.support.tools import Sandbox, requires

pytestmark = requires("syft")

OLD = {"bash": "5.2.15-2", "libssl3": "3.0.1-1", "gone": "1"}
NEW = {"bash": "5.2.15-2", "libssl3": "3.0.2-1", "new": "2"}
CHANGES = [
    {"state": "removed", "type": "deb", "name": "gone", "a": ["1"], "b": None},
    {"state": "changed", "type": "deb", "name": "libssl3", "a": ["3.0.1-1"], "b": ["3.0.2-1"]},
    {"state": "added", "type": "deb", "name": "new", "a": None, "b": ["2"]},
]
TYPES = {"spdx-json": "application/spdx+json", "cyclonedx-json": "application/vnd.cyclonedx+json"}


@pytest.fixture(autouse=True)
def _ours(remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")


@pytest.fixture
def syft(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in, with two images of Debian packages in the registry: v1 and v2."""
    server = remote.server
    sandbox.environment |= {
        "SYFT_CHECK_FOR_APP_UPDATE": "false", "SYFT_REGISTRY_INSECURE_USE_HTTP": "true",
        "SYFT_REGISTRY_AUTH_AUTHORITY": server.host_port, "SYFT_REGISTRY_AUTH_USERNAME": server.admin_user,
        "SYFT_REGISTRY_AUTH_PASSWORD": server.admin_password,
    }  # fmt: skip
    for tag, packages in (("v1", OLD), ("v2", NEW)):
        status = "\n".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: nobody\nVersion: {version}\n"
            for name, version in packages.items()
        )
        system = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n'
        layer = tar_layer({"etc/os-release": system.encode(), "var/lib/dpkg/status": status.encode()})
        remote.push(image([layer]), tag)
    login(sandbox, remote, "oras", "--plain-http")
    return sandbox


def scan(syft: Sandbox, remote: Remote, tag: str, form: str) -> str:
    """The name of the file with the SBOM that syft makes of the image."""
    name = f"{tag}.{form}"
    syft.run("syft", "scan", "--quiet", f"registry:{remote.tag(tag)}", "-o", f"{form}={name}")
    return name


def compare(remote: Remote) -> Any:
    project, _, name = remote.repository.partition("/")
    answer = remote.server.api("GET", f"/projects/{project}/repositories/{name}/compare?a=v1&b=v2")
    assert answer.status_code == 200, answer.text
    return answer.json()["packages"]


@requires("oras")
def test_sboms_that_oras_attaches(syft: Sandbox, remote: Remote) -> None:
    """One of each format, compared with the other."""
    for tag, form in (("v1", "spdx-json"), ("v2", "cyclonedx-json")):
        file = scan(syft, remote, tag, form)
        kind = TYPES[form]
        syft.run("oras", "attach", "--plain-http", "--artifact-type", kind, remote.tag(tag), f"{file}:{kind}")
        assert accessories(remote, tag) == [("subject.accessory", "SBOM")]
        (sbom,) = read(remote, f"/{tag}", "/accessories")
        attributes = read(remote, f"/{sbom['digest']}")["extra_attrs"]
        assert attributes["format"] == {"spdx-json": "SPDX", "cyclonedx-json": "CycloneDX"}[form]
        written = json.loads((syft.folder / file).read_text())
        assert read(remote, f"/{sbom['digest']}", "/additions/sbom") == written
        assert attributes["packages"] == len(written.get("packages", written.get("components")))
    found = compare(remote)
    assert (found["changes"], found["same"]) == (CHANGES, 1)


@requires("cosign")
def test_sboms_that_cosign_attaches_and_states(syft: Sandbox, remote: Remote, cosign: Sandbox) -> None:  # noqa: F811
    """Under its tags: a document of one image, a signed statement about the other."""
    first, second = (scan(syft, remote, tag, "spdx-json") for tag in ("v1", "v2"))
    words = ["--type", "spdx", "--input-format", "json", "--allow-http-registry", "--sbom", first]
    cosign.run("cosign", "attach", "sbom", *words, remote.tag("v1"))
    assert accessories(remote, "v1") == [("subject.accessory", "SBOM")]
    words = ["--type", "spdxjson", "--predicate", second]
    cosign.run("cosign", "attest", *SIGN, *words, remote.tag("v2"))
    assert accessories(remote, "v2") == [("subject.accessory", "ATTESTATION")]
    found = compare(remote)
    assert (found["changes"], found["same"]) == (CHANGES, 1)
    assert [row["digest"] for row in read(remote, "")] == [remote.digest("v2"), remote.digest("v1")]
