"""What cosign, oras and helm push, as the REST API tells it: type, accessories, additions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Remote, login
from tests.clients.test_buildah import PLAIN, Buildah, buildah  # noqa: F401  # a fixture
from tests.clients.test_cosign import SIGN, cosign  # noqa: F401  # a fixture
from tests.support.oci import index, random_image
from tests.support.tools import Sandbox, requires, requires_root

SPDX = {"spdxVersion": "SPDX-2.3", "name": "app", "packages": [{"name": "a"}, {"name": "b"}]}


@pytest.fixture(autouse=True)
def _ours(remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: it may have no API of Harbor's")


def read(remote: Remote, reference: str, below: str = "") -> Any:
    return json.loads(read_text(remote, f"{reference}{below}"))


def read_text(remote: Remote, path: str) -> str:
    project, _, name = remote.repository.partition("/")
    answer = remote.server.api("GET", f"/projects/{project}/repositories/{name}/artifacts{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


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


@requires("buildah")
@requires_root("buildah")
def test_an_image_that_buildah_builds(buildah: Buildah, remote: Remote, tmp_path: Path) -> None:  # noqa: F811
    """Its config, and each step with the layer it made."""
    context = tmp_path / "context"
    lines = ["FROM scratch", "COPY content /content", "ENV A=1", "COPY Containerfile /", 'ENTRYPOINT ["/content"]']
    (context / "Containerfile").write_text("\n".join([*lines, "LABEL team=shop maintainer=me", ""]))
    buildah("build", "--isolation=chroot", "--layers", "--platform=linux/arm64", "-t", "local", context)
    buildah("push", PLAIN, "local", f"docker://{remote.tag('v1')}")
    found = read(remote, "/v1")
    attributes, layers = found["extra_attrs"], remote.pull("v1").document["layers"]
    assert (found["type"], attributes["os"], attributes["architecture"]) == ("IMAGE", "linux", "arm64")
    assert (attributes["author"], attributes["config"]["Entrypoint"]) == ("me", ["/content"])
    assert "A=1" in attributes["config"]["Env"]
    assert attributes["config"]["Labels"]["team"] == "shop"
    steps = read(remote, "/v1", "/additions/build_history")
    assert [step.get("empty_layer", False) for step in steps] == [False, True, False, True, True]
    made = read(remote, "/v1", "/layers")
    assert [(each["digest"], each["size"]) for each in made] == [(each["digest"], each["size"]) for each in layers]
    assert [each["command"] for each in made] == [step["created_by"] for step in steps if "empty_layer" not in step]


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
    (sandbox.folder / "app" / "README.md").write_text("# An application")
    chart = sandbox.folder / "app" / "Chart.yaml"
    chart.write_text(chart.read_text() + "dependencies:\n- {name: db, version: 1.2.3, repository: 'file://../db'}\n")
    sandbox.run("helm", "create", "db")
    (sandbox.folder / "db" / "Chart.yaml").write_text("apiVersion: v2\nname: db\nversion: 1.2.3\n")
    sandbox.run("helm", "package", "--dependency-update", "app")
    project, _, _ = remote.repository.partition("/")
    sandbox.run("helm", "push", "--plain-http", "app-0.1.0.tgz", f"oci://{server.host_port}/{project}")
    found = read(remote, "/0.1.0")
    assert (found["type"], found["extra_attrs"]["name"], found["icon"][:7]) == ("CHART", "app", "sha256:")
    assert set(found["addition_links"]) == {"values.yaml", "readme.md", "dependencies"}
    assert read_text(remote, "/0.1.0/additions/values.yaml") == (sandbox.folder / "app" / "values.yaml").read_text()
    assert read_text(remote, "/0.1.0/additions/readme.md") == "# An application"
    dependencies = [{"name": "db", "version": "1.2.3", "repository": "file://../db"}]
    assert read(remote, "/0.1.0", "/additions/dependencies") == dependencies
