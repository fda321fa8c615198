"""oras: artifacts of any type, attached to images as referrers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Remote, login
from tests.support.oci import random_image
from tests.support.tools import Sandbox, requires

pytestmark = requires("oras")

SBOM = "application/spdx+json"


@pytest.fixture
def oras(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in, with two files to push."""
    login(sandbox, remote, "oras", "--plain-http")
    (sandbox.folder / "notes.txt").write_text("notes")
    (sandbox.folder / "sbom.json").write_text('{"spdxVersion": "SPDX-2.3"}')
    return sandbox


def test_push_and_pull_of_files(oras: Sandbox, remote: Remote, tmp_path: Path) -> None:
    files = ["notes.txt:text/plain", f"sbom.json:{SBOM}"]
    kind = "application/vnd.example.bundle"
    oras.run("oras", "push", "--plain-http", "--artifact-type", kind, remote.tag("v1"), *files)
    stored = remote.pull("v1").document
    assert stored["artifactType"] == kind
    assert [layer["mediaType"] for layer in stored["layers"]] == ["text/plain", SBOM]
    oras.run("oras", "pull", "--plain-http", "-o", "fetched", remote.tag("v1"))
    for name in ("notes.txt", "sbom.json"):
        assert (tmp_path / "fetched" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_attach_and_discover(oras: Sandbox, remote: Remote) -> None:
    """The answer's OCI-Subject makes oras trust the referrers API: it must not write the fallback tag."""
    image = remote.push(random_image(), "v1")
    oras.run("oras", "attach", "--plain-http", "--artifact-type", SBOM, remote.tag("v1"), f"sbom.json:{SBOM}")
    kind = "application/vnd.example.review"
    oras.run("oras", "attach", "--plain-http", "--artifact-type", kind, remote.tag("v1"), "notes.txt:text/plain")
    seen = oras.json("oras", "discover", "--plain-http", "--format", "json", remote.at(image))
    assert {entry["artifactType"] for entry in seen["manifests"]} == {SBOM, kind}
    words = ["--format", "json", "--artifact-type", SBOM, remote.at(image)]
    (one,) = oras.json("oras", "discover", "--plain-http", *words)["manifests"]
    assert one["artifactType"] == SBOM
    oras.run("oras", "pull", "--plain-http", "-o", "sbom", f"{remote.name}@{one['digest']}")
    assert json.loads((oras.folder / "sbom" / "sbom.json").read_text())["spdxVersion"] == "SPDX-2.3"
    assert remote.server.client().tags(remote.repository) == ["v1"]


def test_copy_with_everything_attached(oras: Sandbox, remote: Remote) -> None:
    image = remote.push(random_image(50_000), "v1")
    oras.run("oras", "attach", "--plain-http", "--artifact-type", SBOM, remote.tag("v1"), f"sbom.json:{SBOM}")
    other = Remote(remote.server, f"{remote.repository}/copy")
    oras.run("oras", "cp", "-r", "--from-plain-http", "--to-plain-http", remote.tag("v1"), other.tag("v1"))
    assert other.digest("v1") == image.digest
    seen = oras.json("oras", "discover", "--plain-http", "--format", "json", other.tag("v1"))
    assert [entry["artifactType"] for entry in seen["manifests"]] == [SBOM]


def test_lists_tags_and_deletes(oras: Sandbox, remote: Remote) -> None:
    for tag in ("b", "a"):
        remote.push(random_image(), tag)
    tags = oras.run("oras", "repo", "tags", "--plain-http", remote.name).stdout.split()
    assert sorted(tags) == ["a", "b"]
    doomed = remote.digest("a")
    oras.run("oras", "manifest", "delete", "--plain-http", "--force", remote.tag("a"))
    assert not remote.exists(doomed)
    assert remote.exists("b")


def test_blob_push_fetch_and_delete(oras: Sandbox, remote: Remote) -> None:
    oras.run("oras", "blob", "push", "--plain-http", remote.name, "notes.txt")
    said = oras.run("oras", "blob", "push", "--plain-http", "--descriptor", remote.name, "notes.txt").stdout
    digest = json.loads(said)["digest"]
    got = oras.run("oras", "blob", "fetch", "--plain-http", "--output", "-", f"{remote.name}@{digest}")
    assert got.stdout == "notes"
    oras.run("oras", "blob", "delete", "--plain-http", "--force", f"{remote.name}@{digest}")
    assert remote.server.client().head_blob(remote.repository, digest).status_code == 404
