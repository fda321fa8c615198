"""What cosign, oras and helm push, as the REST API tells it: type, accessories, additions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.conftest import Remote, login
from tests.clients.test_cosign import SIGN, cosign  # noqa: F401  # a fixture
from tests.support.oci import index, random_image
from tests.support.tools import Sandbox, requires

SPDX = {"spdxVersion": "SPDX-2.3", "name": "app", "packages": [{"name": "a"}, {"name": "b"}]}


@pytest.fixture(autouse=True)
def _ours(remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")


def read(remote: Remote, reference: str, below: str = "") -> Any:
    project, _, name = remote.repository.partition("/")
    answer = remote.server.api("GET", f"/projects/{project}/repositories/{name}/artifacts{reference}{below}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def accessories(remote: Remote, reference: str) -> list[tuple[str, str]]:
    """(accessory's type, its artifact's type), sorted."""
    found = [(each["type"], each["digest"]) for each in read(remote, f"/{reference}", "/accessories")]
    return sorted((kind, read(remote, f"/{digest}")["type"]) for kind, digest in found)


@requires("cosign")
def test_what_cosign_leaves(cosign: Sandbox, remote: Remote) -> None:  # noqa: F811
    both = remote.push(index([random_image(architecture=name) for name in ("amd64", "arm64")]), "multi")
    cosign.run("cosign", "sign", *SIGN, "--recursive", remote.at(both))
    (cosign.folder / "predicate.json").write_text('{"made": "here"}')
    words = ["--type", "https://example.com/made/v1", "--predicate", "predicate.json"]
    cosign.run("cosign", "attest", *SIGN, *words, remote.at(both))
    signed, stated = ("signature.cosign", "SIGNATURE"), ("subject.accessory", "ATTESTATION")
    assert accessories(remote, "multi") == [signed, stated]
    assert all(accessories(remote, child.digest) == [signed] for child in both.children)
    assert [row["digest"] for row in read(remote, "")] == [both.digest]
    (statement,) = [each for each in read(remote, "/multi", "/accessories") if each["type"] == "subject.accessory"]
    attributes = read(remote, f"/{statement['digest']}")["extra_attrs"]
    assert [layer["predicate_type"] for layer in attributes["layers"]] == ["https://example.com/made/v1"]
    project, _, name = remote.repository.partition("/")
    path = f"/projects/{project}/repositories/{name}"
    assert remote.server.api("DELETE", f"{path}/artifacts/multi").status_code == 200
    assert remote.server.client().tags(remote.repository) == []
    assert remote.server.api("GET", f"{path}/artifacts?q=base=*").json() == []


@requires("oras")
def test_what_oras_attaches(sandbox: Sandbox, remote: Remote) -> None:
    login(sandbox, remote, "oras", "--plain-http")
    (sandbox.folder / "sbom.json").write_text(json.dumps(SPDX))
    remote.push(random_image(), "v1")
    kind = "application/spdx+json"
    sandbox.run("oras", "attach", "--plain-http", "--artifact-type", kind, remote.tag("v1"), f"sbom.json:{kind}")
    assert accessories(remote, "v1") == [("subject.accessory", "SBOM")]
    (sbom,) = read(remote, "/v1", "/accessories")
    found = read(remote, f"/{sbom['digest']}")
    assert (found["extra_attrs"]["format"], found["extra_attrs"]["packages"]) == ("SPDX", 2)
    assert read(remote, f"/{sbom['digest']}", "/additions/sbom") == SPDX


@requires("oras")
def test_a_model_that_oras_pushes(sandbox: Sandbox, remote: Remote) -> None:
    """By the media types of modelpack's specification; oras writes no annotation of its layers without a file of them."""
    login(sandbox, remote, "oras", "--plain-http")
    folder, prefix = sandbox.folder, "application/vnd.cncf.model"
    (folder / "README.md").write_text("# A model")
    (folder / "config.json").write_text('{"descriptor": {"name": "tiny"}}')
    path = "org.cncf.model.filepath"
    (folder / "annotations.json").write_text(json.dumps({"README.md": {path: "README.md"}}))
    words = ["--artifact-type", f"{prefix}.manifest.v1+json", "--config", f"config.json:{prefix}.config.v1+json"]
    words += ["--annotation-file", "annotations.json", remote.tag("m"), f"README.md:{prefix}.doc.v1.raw"]
    sandbox.run("oras", "push", "--plain-http", *words)
    found = read(remote, "/m")
    assert (found["type"], found["extra_attrs"]) == ("CNAI", {"descriptor": {"name": "tiny"}})
    assert read(remote, "/m", "/additions/files") == [{"name": "README.md", "type": "file", "size": 9}]


@requires("helm")
def test_a_chart_that_helm_pushes(sandbox: Sandbox, remote: Remote) -> None:
    server = remote.server
    words = ["registry", "login", "--plain-http", "-u", server.admin_user, "--password-stdin", server.host_port]
    sandbox.run("helm", *words, stdin=server.admin_password)
    sandbox.run("helm", "create", "app")
    sandbox.run("helm", "package", "app")
    project, _, _ = remote.repository.partition("/")
    sandbox.run("helm", "push", "--plain-http", "app-0.1.0.tgz", f"oci://{server.host_port}/{project}")
    found = read(remote, "/0.1.0")
    assert (found["type"], found["extra_attrs"]["name"], found["icon"][:7]) == ("CHART", "app", "sha256:")
