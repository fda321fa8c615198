"""podman: login, push, pull, run, manifest lists; its storage lies in the test's own folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Remote
from tests.support.oci import DOCKER_MANIFEST, OCI_INDEX, busybox_image, random_image, write_layout
from tests.support.tools import Completed, Sandbox, find_tool, requires, requires_root

pytestmark = [requires("podman", "busybox"), requires_root("podman")]

PLAIN = "--tls-verify=false"


class Podman:
    """podman with its images, layers and containers under one folder."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.where = [
            *("--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"),
            *("--events-backend", "file", "--cgroup-manager", "cgroupfs"),
        ]
        if find_tool("runc"):
            self.where += ["--runtime", "runc"]

    def __call__(self, *arguments: object, ok: bool = True, stdin: str | None = None) -> Completed:
        return self.sandbox.run("podman", *self.where, *arguments, ok=ok, stdin=stdin)


@pytest.fixture
def stranger(sandbox: Sandbox) -> Iterator[Podman]:
    """Not logged in."""
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:  # podman takes no runroot of more than 50 characters
        yield Podman(sandbox, Path(folder))


@pytest.fixture
def podman(stranger: Podman, remote: Remote) -> Podman:
    """Logged in."""
    server = remote.server
    words = ["login", PLAIN, "-u", server.admin_user, "--password-stdin", server.host_port]
    stranger(*words, stdin=server.admin_password)
    return stranger


def test_wrong_password_is_refused(stranger: Podman, remote: Remote) -> None:
    words = ["login", PLAIN, "-u", remote.server.admin_user, "--password-stdin", remote.server.host_port]
    assert "invalid username/password" in stranger(*words, stdin="wrong", ok=False).stderr


def test_push_pull_and_run(podman: Podman, remote: Remote, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", {"v1": busybox_image("hello from podman")})
    pulled = podman("pull", "--quiet", f"oci:{layout}:v1").stdout.strip()
    podman("push", PLAIN, "--digestfile", tmp_path / "digest", pulled, remote.tag("v1"))
    pushed_digest = (tmp_path / "digest").read_text()
    assert remote.digest("v1") == pushed_digest
    podman("rmi", "--all", "--force")
    again = podman("pull", PLAIN, "--quiet", f"{remote.name}@{pushed_digest}").stdout.strip()
    assert again == pulled, "the image id is the digest of the configuration, which must have come back unchanged"
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]  # a container may not raise its maker's
    ran = podman.sandbox.run("podman", *podman.where, "run", "--rm", "--network=none", *limits, again)
    assert ran.stdout == "hello from podman"


def test_pushed_as_docker_or_with_zstd_layers(podman: Podman, remote: Remote, tmp_path: Path) -> None:
    images = {"docker": random_image(50_000, layers=2), "zstd": random_image(50_000, layers=2)}
    layout = write_layout(tmp_path / "layout", images)
    pulled = {tag: podman("pull", "--quiet", f"oci:{layout}:{tag}").stdout.strip() for tag in images}
    podman("push", PLAIN, "--format=v2s2", pulled["docker"], remote.tag("docker"))
    assert remote.pull("docker").media_type == DOCKER_MANIFEST
    podman("push", PLAIN, "--compression-format=zstd", pulled["zstd"], remote.tag("zstd"))
    layers = remote.pull("zstd").document["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}


def test_manifest_list(podman: Podman, remote: Remote) -> None:
    for architecture in ("amd64", "arm64"):
        remote.push(random_image(architecture=architecture), architecture)
    podman("manifest", "create", "both")
    for architecture in ("amd64", "arm64"):
        podman("manifest", "add", PLAIN, "both", f"docker://{remote.tag(architecture)}")
    podman("manifest", "push", "--all", PLAIN, "--format=oci", "both", f"docker://{remote.tag('both')}")
    both = remote.pull("both")
    assert both.media_type == OCI_INDEX
    children = {entry["platform"]["architecture"]: entry["digest"] for entry in both.document["manifests"]}
    assert children == {name: remote.digest(name) for name in ("amd64", "arm64")}


def test_logout_ends_access(podman: Podman, remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: its anonymous rights are its own")
    remote.push(random_image(), "v1")
    podman("pull", PLAIN, "--quiet", remote.tag("v1"))
    podman("logout", remote.server.host_port)
    podman("pull", PLAIN, "--quiet", remote.tag("v1"), ok=False)
