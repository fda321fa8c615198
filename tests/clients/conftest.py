"""A Docker engine and a containerd of the tests' own, and the arguments container tools need for plain HTTP."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.oci import Manifest
from tests.support.stack import HavenServer
from tests.support.tools import Sandbox, tool

ENGINE_START_LIMIT = 30.0


@dataclass(frozen=True)
class Engine:
    """A running daemon and the socket it listens on."""

    socket: Path


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A private Docker engine: its own folder and socket, no bridge, no packet filter rules."""
    folder = tmp_path_factory.mktemp("docker")
    command = [
        *(tool("dockerd"), "--host", f"unix://{folder}/docker.sock", "--data-root", f"{folder}/root"),
        *("--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid", "--storage-driver=vfs"),
        *("--iptables=false", "--ip6tables=false", "--bridge=none"),
    ]
    yield from _engine(
        command, folder, folder / "docker.sock", [tool("docker"), "-H", f"unix://{folder}/docker.sock", "info"]
    )


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A private containerd with its state, root and socket in a folder of its own."""
    folder = tmp_path_factory.mktemp("containerd")
    config = folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/containerd.sock"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n'
    )
    socket = folder / "containerd.sock"
    yield from _engine(
        [tool("containerd"), "-c", str(config)], folder, socket, [tool("ctr"), "-a", str(socket), "version"]
    )


def _engine(command: Sequence[str], folder: Path, socket: Path, probe: Sequence[str]) -> Iterator[Engine]:
    """Run a daemon for a module; skip, with its last words, where none can run."""
    if os.geteuid() != 0:
        pytest.skip(f"not root, and {Path(command[0]).name} needs it")
    log = folder / "log"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path})
    try:
        deadline = time.monotonic() + ENGINE_START_LIMIT
        while not socket.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                words = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                pytest.skip(f"no container engine can start here: {Path(command[0]).name}: {words[-1][-300:]}")
            time.sleep(0.05)
        yield Engine(socket)
    finally:
        daemon.terminate()
        daemon.wait(30)


@dataclass(frozen=True)
class Remote:
    """A repository of the registry under test, as container tools name it."""

    server: HavenServer
    repository: str

    @property
    def name(self) -> str:
        return f"{self.server.host_port}/{self.repository}"

    @property
    def credentials(self) -> str:
        return f"{self.server.admin_user}:{self.server.admin_password}"

    def tag(self, tag: str) -> str:
        return f"{self.name}:{tag}"

    def at(self, manifest: Manifest) -> str:
        return f"{self.name}@{manifest.digest}"

    def digest(self, tag: str) -> str:
        """What the registry itself says the tag names."""
        answer = self.server.client().head_manifest(self.repository, tag)
        assert answer.status_code == 200, answer.status_code
        return answer.headers["Docker-Content-Digest"]

    def exists(self, reference: str) -> bool:
        status = self.server.client().head_manifest(self.repository, reference).status_code
        assert status in (200, 404), status
        return status == 200

    def push(self, manifest: Manifest, tag: str) -> Manifest:
        """Put it there over HTTP, for clients that only read."""
        return self.server.client().push(self.repository, manifest, tag)

    def pull(self, reference: str) -> Manifest:
        return self.server.client().pull(self.repository, reference)


@pytest.fixture
def remote(haven: HavenServer, project: str) -> Remote:
    """An empty repository in a new private project."""
    return Remote(haven, f"{project}/app")


@pytest.fixture
def public_remote(haven: HavenServer, public_project: str) -> Remote:
    """An empty repository in a new public project."""
    return Remote(haven, f"{public_project}/app")


def login(sandbox: Sandbox, remote: Remote, program: str, *arguments: str) -> None:
    """`<program> login`, the password on standard input."""
    server = remote.server
    words = ["login", *arguments, "-u", server.admin_user, "--password-stdin", server.host_port]
    sandbox.run(program, *words, stdin=server.admin_password)


def same_content(one: Manifest, other: Manifest) -> bool:
    """Equal bytes of every manifest and blob, at every level."""
    return [m.payload for m in one.manifests()] == [m.payload for m in other.manifests()] and {
        blob.digest for blob in one.all_blobs()
    } == {blob.digest for blob in other.all_blobs()}
