"""Helm: charts as OCI artifacts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.clients.conftest import Remote
from tests.support.tools import Sandbox, requires

pytestmark = requires("helm")

CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@pytest.fixture
def helm(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in, with a chart `app` in the working directory."""
    server = remote.server
    words = ["registry", "login", "--plain-http", "-u", server.admin_user, "--password-stdin", server.host_port]
    sandbox.run("helm", *words, stdin=server.admin_password)
    chart = sandbox.folder / "app"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 0.0.0\nappVersion: '1'\n")
    (chart / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: test}\ndata:\n  chart: {{ .Chart.Version }}\n"
    )
    (sandbox.folder / "fetched").mkdir()
    return sandbox


def package(helm: Sandbox, version: str) -> Path:
    helm.run("helm", "package", "app", "--version", version)
    return helm.folder / f"app-{version}.tgz"


def push(helm: Sandbox, remote: Remote, version: str) -> Path:
    archive = package(helm, version)
    helm.run("helm", "push", "--plain-http", archive, f"oci://{folder_of(remote)}")
    return archive


def folder_of(remote: Remote) -> str:
    """Helm appends the chart's name, which is also the repository's last part."""
    return remote.name.rpartition("/")[0]


@pytest.mark.parametrize(("version", "tag"), [("1.2.3", "1.2.3"), ("1.2.3+build.5", "1.2.3_build.5")])
def test_push_and_pull(helm: Sandbox, remote: Remote, version: str, tag: str) -> None:
    """A + is no character of a tag; Helm writes _ for it, and reads it back."""
    archive = push(helm, remote, version)
    stored = remote.pull(tag).document
    assert stored["config"]["mediaType"] == CHART_CONFIG
    (layer,) = stored["layers"]
    assert layer["mediaType"] == CHART_LAYER
    assert layer["digest"] == f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    helm.run("helm", "pull", "--plain-http", "-d", "fetched", "--version", version, f"oci://{remote.name}")
    assert (helm.folder / "fetched" / archive.name).read_bytes() == archive.read_bytes()


def test_version_range_is_resolved_from_the_tags(helm: Sandbox, remote: Remote) -> None:
    for version in ("1.0.0", "1.4.0", "2.0.0"):
        push(helm, remote, version)
    helm.run("helm", "pull", "--plain-http", "-d", "fetched", "--version", "^1.0.0", f"oci://{remote.name}")
    assert [path.name for path in (helm.folder / "fetched").iterdir()] == ["app-1.4.0.tgz"]


def test_show_and_template(helm: Sandbox, remote: Remote) -> None:
    push(helm, remote, "1.0.0")
    shown = helm.run("helm", "show", "chart", "--plain-http", "--version", "1.0.0", f"oci://{remote.name}").stdout
    assert "version: 1.0.0" in shown
    words = ["template", "release", "--plain-http", "--version", "1.0.0", f"oci://{remote.name}"]
    assert "chart: 1.0.0" in helm.run("helm", *words).stdout


def test_chart_as_a_dependency(helm: Sandbox, remote: Remote) -> None:
    push(helm, remote, "1.0.0")
    parent = helm.folder / "parent"
    parent.mkdir()
    (parent / "Chart.yaml").write_text(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\n"
        f"dependencies:\n- name: app\n  version: 1.0.0\n  repository: oci://{folder_of(remote)}\n"
    )
    helm.run("helm", "dependency", "update", "--plain-http", "parent")
    assert (parent / "charts" / "app-1.0.0.tgz").exists()


def test_wrong_password_and_missing_chart(helm: Sandbox, remote: Remote) -> None:
    server = remote.server
    words = ["registry", "login", "--plain-http", "-u", server.admin_user, "--password-stdin", server.host_port]
    helm.run("helm", *words, stdin="wrong", ok=False)
    push(helm, remote, "1.0.0")
    missing = helm.run("helm", "pull", "--plain-http", "--version", "9.9.9", f"oci://{remote.name}", ok=False)
    assert "9.9.9" in missing.stderr
