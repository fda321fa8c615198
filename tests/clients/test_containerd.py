"""containerd through ctr: the path Kubernetes nodes pull by. Skipped where containerd can't start."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.clients.conftest import Engine, Remote
from tests.support.oci import index, random_image, write_layout
from tests.support.tools import Completed, Sandbox, requires

pytestmark = requires("containerd", "ctr", "runc")


class Ctr:
    """ctr in a namespace of its own, so that each test finds an empty content store."""

    def __init__(self, sandbox: Sandbox, engine: Engine) -> None:
        self.sandbox = sandbox
        self.where = ["--address", str(engine.socket), "--namespace", uuid.uuid4().hex[:12]]

    def __call__(self, *arguments: object, ok: bool = True) -> Completed:
        return self.sandbox.run("ctr", *self.where, *arguments, ok=ok)

    def content(self) -> set[str]:
        return set(self("content", "ls", "--quiet").stdout.split())


@pytest.fixture
def ctr(containerd: Engine, sandbox: Sandbox) -> Ctr:
    return Ctr(sandbox, containerd)


def test_push_and_pull(ctr: Ctr, remote: Remote, tmp_path: Path) -> None:
    image = random_image(200_000, layers=2)
    layout = write_layout(tmp_path / "layout", {"v1": image})
    archive = tmp_path / "image.tar"
    ctr.sandbox.run("tar", "-C", layout, "-cf", archive, ".")
    ctr("images", "import", "--base-name", remote.name, archive)
    ctr("images", "push", "--plain-http", "-u", remote.credentials, remote.tag("v1"))
    assert remote.digest("v1") == image.digest
    fresh = Ctr(ctr.sandbox, Engine(Path(ctr.where[1])))
    fresh("images", "pull", "--plain-http", "-u", remote.credentials, remote.tag("v1"))
    assert fresh.content() == {image.digest, *(blob.digest for blob in image.blobs)}


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_pulls_every_platform(ctr: Ctr, remote: Remote, *, docker: bool) -> None:
    both = index([random_image(architecture=name, docker=docker) for name in ("amd64", "arm64")], docker=docker)
    remote.push(both, "multi")
    ctr("images", "pull", "--plain-http", "--all-platforms", "-u", remote.credentials, remote.tag("multi"))
    assert {m.digest for m in both.manifests()} < ctr.content()
    other = Remote(remote.server, f"{remote.repository}/copy")
    ctr("images", "tag", remote.tag("multi"), other.tag("multi"))
    ctr("images", "push", "--plain-http", "-u", remote.credentials, other.tag("multi"))
    assert other.digest("multi") == both.digest


def test_pull_by_digest(ctr: Ctr, remote: Remote) -> None:
    image = remote.push(random_image(), "v1")
    ctr("images", "pull", "--plain-http", "-u", remote.credentials, remote.at(image))
    assert image.digest in ctr.content()


def test_wrong_password_gives_nothing(ctr: Ctr, remote: Remote) -> None:
    remote.push(random_image(), "v1")
    user = remote.server.admin_user
    ctr("images", "pull", "--plain-http", "-u", f"{user}:wrong", remote.tag("v1"), ok=False)
    assert ctr.content() == set()


def test_anonymous_pull_of_a_public_project(ctr: Ctr, public_remote: Remote) -> None:
    image = public_remote.push(random_image(), "v1")
    ctr("images", "pull", "--plain-http", public_remote.tag("v1"))
    assert image.digest in ctr.content()
