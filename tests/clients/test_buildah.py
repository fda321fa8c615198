"""buildah: build, push, multi-architecture manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Remote, login
from tests.support.oci import OCI_INDEX, OCI_MANIFEST
from tests.support.tools import Completed, Sandbox, requires, requires_root

pytestmark = [requires("buildah"), requires_root("buildah")]

PLAIN = "--tls-verify=false"


class Buildah:
    """buildah with its storage under one folder."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.where = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]

    def __call__(self, *arguments: object) -> Completed:
        return self.sandbox.run("buildah", *self.where, *arguments)


@pytest.fixture
def buildah(sandbox: Sandbox, remote: Remote, tmp_path: Path) -> Buildah:
    """Logged in, with a folder `context` to build: a file FROM scratch."""
    login(sandbox, remote, "buildah", PLAIN)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Containerfile").write_text("FROM scratch\nCOPY content /content\nLABEL made.by=test\n")
    (context / "content").write_bytes(b"content" * 10_000)
    return Buildah(sandbox, tmp_path / "buildah")


def test_build_push_and_pull(buildah: Buildah, remote: Remote, tmp_path: Path) -> None:
    buildah("build", "--isolation=chroot", "-t", "local", tmp_path / "context")
    buildah("push", PLAIN, "--digestfile", tmp_path / "digest", "local", f"docker://{remote.tag('v1')}")
    assert remote.digest("v1") == (tmp_path / "digest").read_text()
    image = remote.pull("v1")
    assert image.media_type == OCI_MANIFEST
    image_id = buildah("images", "--quiet", "--no-trunc", "local").stdout.strip()
    assert image.document["config"]["digest"] == image_id
    buildah("rmi", "--all", "--force")
    assert buildah("pull", PLAIN, "--quiet", remote.tag("v1")).stdout.strip() == image_id.removeprefix("sha256:")


def test_built_for_two_architectures(buildah: Buildah, remote: Remote, tmp_path: Path) -> None:
    for platform in ("linux/amd64", "linux/arm64"):
        buildah("build", "--isolation=chroot", "--platform", platform, "--manifest", "both", tmp_path / "context")
    buildah("manifest", "push", "--all", PLAIN, "--format=oci", "both", f"docker://{remote.tag('both')}")
    both = remote.pull("both")
    assert both.media_type == OCI_INDEX
    assert [entry["platform"]["architecture"] for entry in both.document["manifests"]] == ["amd64", "arm64"]
    assert all(child.all_blobs() for child in both.children)


def test_push_by_reference_to_an_older_image(buildah: Buildah, remote: Remote, tmp_path: Path) -> None:
    """A tag moves; what it named stays readable by digest, and shares its base layer with the new image."""
    buildah("build", "--isolation=chroot", "-t", "local", tmp_path / "context")
    buildah("push", PLAIN, "local", f"docker://{remote.tag('v1')}")
    before = remote.digest("v1")
    (tmp_path / "context" / "Containerfile").write_text("FROM local\nCOPY content /second\n")
    buildah("build", "--isolation=chroot", "--pull-never", "-t", "next", tmp_path / "context")
    buildah("push", PLAIN, "next", f"docker://{remote.tag('v1')}")
    assert remote.digest("v1") != before
    old, new = remote.pull(before), remote.pull("v1")
    assert new.document["layers"][0] == old.document["layers"][0]
