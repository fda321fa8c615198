"""One pull counts one, under its tag, whoever pulls and how: counted through the whole stack."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from haven_registry.services.pull_settling import FLUSH_SECONDS
from tests.clients.conftest import Engine, Remote, login
from tests.clients.test_containerd import Ctr
from tests.clients.test_podman import Podman, stranger  # noqa: F401  # a fixture
from tests.support.oci import Manifest, index, random_image
from tests.support.tools import Sandbox, requires, requires_root

COUNTED_LIMIT = 60.0


@pytest.fixture(autouse=True)
def _ours(remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: it may not count pulls")


class Pulled:
    """Two images, `single` and `multi`, and what the registry counted of their pulls."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.single: Manifest = remote.push(random_image(), "single")
        both = index([random_image(architecture=name) for name in ("amd64", "arm64")])
        self.multi: Manifest = remote.push(both, "multi")

    def wait(self) -> None:
        """Until everything so far is counted: a pull after the last flush of it comes after it in every queue."""
        time.sleep(FLUSH_SECONDS + 0.5)
        marker = Remote(self.remote.server, f"{self.remote.repository}/{uuid.uuid4().hex[:8]}")
        marker.push(random_image(), "marker")
        assert marker.server.client().get_manifest(marker.repository, "marker").status_code == 200
        deadline = time.monotonic() + COUNTED_LIMIT
        while self._read(marker)["pull_count"] != 1:
            assert time.monotonic() < deadline, "the pull is not counted"
            time.sleep(0.3)

    def counted(self) -> dict[str, Any]:
        """Pulls of today by tag; '' by digest, where there are any; the sum as all."""
        found = self._read(self.remote)
        tags = {tag["name"]: tag["daily"][-1] for tag in found["tags"]}
        by_digest = {"": found["by_digest"]["total"]} if found["by_digest"]["total"] else {}
        return tags | by_digest | {"all": found["pull_count"]}

    def _read(self, remote: Remote) -> Any:
        project, _, name = remote.repository.partition("/")
        path = f"/projects/{project}/repositories/{name.replace('/', '%252F')}/pulls"
        answer = remote.server.api("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def pulled(remote: Remote) -> Pulled:
    return Pulled(remote)


@requires("skopeo", "crane", "oras")
def test_tools_that_copy(pulled: Pulled, sandbox: Sandbox) -> None:
    """And a HEAD alone, and a registry that makes a replica, which are no pulls."""
    remote, client = pulled.remote, pulled.remote.server.client()
    assert client.head_manifest(remote.repository, "single").status_code == 200
    replica = client.get_manifest(remote.repository, "single", **{"User-Agent": "harbor-registry-client"})
    assert replica.status_code == 200
    login(sandbox, remote, "skopeo", "--tls-verify=false")
    login(sandbox, remote, "oras", "--plain-http")
    for tag in ("single", "multi"):
        words = ["--src-tls-verify=false", f"docker://{remote.tag(tag)}", f"dir:{sandbox.folder}/{tag}"]
        sandbox.run("skopeo", "copy", *words)
        sandbox.run("crane", "pull", "--insecure", "--platform=linux/amd64", remote.tag(tag), f"{tag}.tar")
        sandbox.run("oras", "cp", "--from-plain-http", "--to-oci-layout", remote.tag(tag), f"layout:{tag}")
    pulled.wait()
    assert pulled.counted() == {"single": 3, "multi": 3, "all": 6}


@requires("podman", "busybox")
@requires_root("podman")
def test_podman(pulled: Pulled, stranger: Podman) -> None:  # noqa: F811
    server = pulled.remote.server
    words = ["login", "--tls-verify=false", "-u", server.admin_user, "--password-stdin", server.host_port]
    stranger(*words, stdin=server.admin_password)
    for tag in ("single", "multi"):
        stranger("pull", "--tls-verify=false", "--quiet", pulled.remote.tag(tag))
    pulled.wait()
    assert pulled.counted() == {"single": 1, "multi": 1, "all": 2}


@requires("containerd", "ctr", "runc")
def test_containerd(pulled: Pulled, containerd: Engine, sandbox: Sandbox) -> None:
    """Once for its own platform, and once, by a namespace that has nothing yet, for all of them."""
    for platforms in ([], ["--all-platforms"]):
        ctr, remote = Ctr(sandbox, containerd), pulled.remote
        for tag in ("single", "multi"):
            ctr("images", "pull", "--plain-http", *platforms, "-u", remote.credentials, remote.tag(tag))
    pulled.wait()
    assert pulled.counted() == {"single": 2, "multi": 2, "all": 4}


@requires("docker", "dockerd", "containerd", "runc")
def test_docker(pulled: Pulled, dockerd: Engine, tmp_path: Path) -> None:
    docker = Sandbox(tmp_path, {"DOCKER_HOST": f"unix://{dockerd.socket}"})
    login(docker, pulled.remote, "docker")
    for tag in ("single", "multi"):
        docker.run("docker", "pull", pulled.remote.tag(tag))
    pulled.wait()
    assert pulled.counted() == {"single": 1, "multi": 1, "all": 2}
