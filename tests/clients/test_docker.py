"""The Docker engine: login, push, pull, build, manifest lists. Skipped where no engine can start."""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.conftest import Engine, Remote, login
from tests.support.oci import DOCKER_LIST, DOCKER_MANIFEST, busybox_image, index, random_image
from tests.support.tools import Sandbox, requires

pytestmark = requires("docker", "dockerd", "containerd", "runc", "busybox")


@pytest.fixture
def docker(dockerd: Engine, tmp_path: Path, remote: Remote) -> Sandbox:
    """The client, logged in. The engine is shared by the tests of this file: names in it are per project."""
    sandbox = anonymous_docker(dockerd, tmp_path)
    login(sandbox, remote, "docker")
    return sandbox


def anonymous_docker(engine: Engine, folder: Path) -> Sandbox:
    return Sandbox(folder, {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CLI_EXPERIMENTAL": "enabled"})


def image_id(docker: Sandbox, name: str) -> str:
    return docker.run("docker", "image", "inspect", "--format", "{{.Id}}", name).stdout.strip()


def make_image(docker: Sandbox, name: str, folder: Path, megabytes: int = 1) -> str:
    """Import a file system of random content; returns the image's id."""
    archive = folder / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(megabytes):
            entry = tarfile.TarInfo(f"file{number}")
            content = random_image(1 << 20).blobs[1].data
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return docker.run("docker", "import", archive, name).stdout.strip()


def test_login_and_logout(dockerd: Engine, tmp_path: Path, remote: Remote) -> None:
    docker = anonymous_docker(dockerd, tmp_path)
    server = remote.server
    words = ["login", "-u", server.admin_user, "--password-stdin", server.host_port]
    refused = docker.run("docker", *words, stdin="wrong", ok=False)
    assert "unauthorized" in refused.stderr.lower(), refused.stderr
    assert "invalid character" not in refused.stderr, "the engine must be able to read the answer"
    assert "Login Succeeded" in docker.run("docker", *words, stdin=server.admin_password).stdout
    docker.run("docker", "logout", server.host_port)


def test_push_and_pull(docker: Sandbox, remote: Remote, tmp_path: Path) -> None:
    made = make_image(docker, remote.tag("v1"), tmp_path, megabytes=3)
    pushed = docker.run("docker", "push", remote.tag("v1")).stdout
    digest = remote.digest("v1")
    assert f"digest: {digest}" in pushed
    assert remote.pull("v1").media_type == DOCKER_MANIFEST
    docker.run("docker", "rmi", remote.tag("v1"))
    assert f"Digest: {digest}" in docker.run("docker", "pull", remote.tag("v1")).stdout
    assert image_id(docker, remote.tag("v1")) == made
    docker.run("docker", "rmi", remote.tag("v1"))
    docker.run("docker", "pull", f"{remote.name}@{digest}")


def test_second_push_finds_the_layers(docker: Sandbox, remote: Remote, tmp_path: Path) -> None:
    make_image(docker, remote.tag("v1"), tmp_path)
    docker.run("docker", "push", remote.tag("v1"))
    docker.run("docker", "tag", remote.tag("v1"), remote.tag("v2"))
    assert "Layer already exists" in docker.run("docker", "push", remote.tag("v2")).stdout
    other = Remote(remote.server, remote.repository + "/mounted")
    docker.run("docker", "tag", remote.tag("v1"), other.tag("v1"))
    assert "Mounted from" in docker.run("docker", "push", other.tag("v1")).stdout
    assert remote.digest("v1") == remote.digest("v2") == other.digest("v1")


def test_runs_an_oci_image(docker: Sandbox, remote: Remote) -> None:
    remote.push(busybox_image("hello from docker"), "oci")
    ran = docker.run("docker", "run", "--rm", "--network=none", remote.tag("oci"))
    assert ran.stdout == "hello from docker"


def test_build_from_scratch(docker: Sandbox, remote: Remote, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY content /content\n")
    (context / "content").write_text("content")
    docker.environment["DOCKER_BUILDKIT"] = "0"
    docker.run("docker", "build", "-t", remote.tag("built"), context)
    docker.run("docker", "push", remote.tag("built"))
    assert remote.pull("built").document["config"]["digest"] == image_id(docker, remote.tag("built"))


def test_manifest_list(docker: Sandbox, remote: Remote) -> None:
    for architecture in ("amd64", "arm64"):
        remote.push(random_image(architecture=architecture, docker=True), architecture)
    parts = [remote.tag("amd64"), remote.tag("arm64")]
    docker.run("docker", "manifest", "create", "--insecure", remote.tag("both"), *parts)
    docker.run("docker", "manifest", "push", "--insecure", remote.tag("both"))
    both = remote.pull("both")
    assert both.media_type == DOCKER_LIST
    named = {entry["platform"]["architecture"]: entry["digest"] for entry in both.document["manifests"]}
    assert named == {name: remote.digest(name) for name in ("amd64", "arm64")}


@pytest.mark.parametrize("as_docker", [True, False], ids=["docker", "oci"])
def test_pull_chooses_the_platform(docker: Sandbox, remote: Remote, *, as_docker: bool) -> None:
    images = {name: random_image(architecture=name, docker=as_docker) for name in ("amd64", "arm64")}
    remote.push(index(list(images.values()), docker=as_docker), "multi")
    docker.run("docker", "pull", "--platform=linux/arm64", remote.tag("multi"))
    assert image_id(docker, remote.tag("multi")) == images["arm64"].document["config"]["digest"]


def test_missing_tag_and_missing_login_are_said_plainly(docker: Sandbox, remote: Remote, tmp_path: Path) -> None:
    remote.push(random_image(docker=True), "there")
    missing = docker.run("docker", "pull", remote.tag("absent"), ok=False)
    assert "manifest unknown" in missing.stderr or "not found" in missing.stderr, missing.stderr
    docker.run("docker", "logout", remote.server.host_port)
    refused = docker.run("docker", "pull", remote.tag("there"), ok=False)
    words = ("unauthorized", "no basic auth credentials", "denied", "authentication required")
    assert any(word in refused.stderr.lower() for word in words), refused.stderr


def test_parallel_pushes_of_one_image(docker: Sandbox, remote: Remote, tmp_path: Path) -> None:
    make_image(docker, remote.tag("t0"), tmp_path)
    tags = [f"t{number}" for number in range(4)]
    for tag in tags[1:]:
        docker.run("docker", "tag", remote.tag("t0"), remote.tag(tag))
    with ThreadPoolExecutor(len(tags)) as pool:
        list(pool.map(lambda tag: docker.run("docker", "push", remote.tag(tag)), tags))
    assert len({remote.digest(tag) for tag in tags}) == 1
