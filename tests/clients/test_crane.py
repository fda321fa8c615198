"""crane: the client library of kaniko, ko and many builders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Remote, same_content
from tests.support.oci import index, random_image, read_layout, write_layout
from tests.support.tools import Sandbox, requires

pytestmark = requires("crane")


@pytest.fixture
def crane(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in."""
    server = remote.server
    words = ["auth", "login", "-u", server.admin_user, "--password-stdin", server.host_port]
    sandbox.run("crane", *words, "--insecure", stdin=server.admin_password)
    return sandbox


def test_push_and_pull(crane: Sandbox, remote: Remote, tmp_path: Path) -> None:
    image = random_image(300_000, layers=3)
    layout = write_layout(tmp_path / "layout", {"v1": image})
    said = crane.run("crane", "push", "--insecure", layout, remote.tag("v1")).stdout.strip()
    assert said == remote.at(image)
    assert crane.run("crane", "digest", "--insecure", remote.tag("v1")).stdout.strip() == image.digest
    assert crane.run("crane", "manifest", "--insecure", remote.tag("v1")).stdout.encode() == image.payload
    crane.run("crane", "pull", "--insecure", "--format=oci", remote.tag("v1"), "fetched")
    assert read_layout(tmp_path / "fetched") == read_layout(layout)


def test_index_is_pushed_and_copied_whole(crane: Sandbox, remote: Remote, tmp_path: Path) -> None:
    both = index([random_image(architecture=name) for name in ("amd64", "arm64")])
    layout = write_layout(tmp_path / "layout", {"v1": both})
    crane.run("crane", "push", "--insecure", "--index", layout, remote.tag("outer"))
    remote.push(both, "multi")
    other = Remote(remote.server, f"{remote.repository}/copy")
    crane.run("crane", "copy", "--insecure", remote.tag("multi"), other.tag("multi"))
    assert same_content(other.pull("multi"), both)


def test_lists_and_deletes(crane: Sandbox, remote: Remote) -> None:
    for tag in ("1.0", "1.1"):
        remote.push(random_image(), tag)
    assert sorted(crane.run("crane", "ls", "--insecure", remote.name).stdout.split()) == ["1.0", "1.1"]
    catalog = crane.run("crane", "catalog", "--insecure", remote.server.host_port).stdout.split()
    assert remote.repository in catalog
    crane.run("crane", "delete", "--insecure", f"{remote.name}@{remote.digest('1.0')}")
    assert crane.run("crane", "ls", "--insecure", remote.name).stdout.split() == ["1.1"]


def test_tag_is_added_and_deleted_without_its_manifest(crane: Sandbox, remote: Remote) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: deleting by tag is newer than some")
    image = remote.push(random_image(), "1.0")
    crane.run("crane", "tag", "--insecure", remote.tag("1.0"), "latest")
    assert remote.digest("latest") == image.digest
    crane.run("crane", "delete", "--insecure", remote.tag("latest"))
    assert not remote.exists("latest")
    assert remote.digest("1.0") == image.digest


def test_builds_on_top_of_an_image(crane: Sandbox, remote: Remote, tmp_path: Path) -> None:
    """append mounts what it did not change."""
    base = remote.push(random_image(100_000), "base")
    (tmp_path / "extra").write_text("extra")
    crane.run("tar", "-cf", "extra.tar", "extra")
    other = Remote(remote.server, f"{remote.repository}/built")
    crane.run("crane", "append", "--insecure", "-b", remote.tag("base"), "-f", "extra.tar", "-t", other.tag("v1"))
    built = other.pull("v1").document
    assert built["layers"][0]["digest"] == base.document["layers"][0]["digest"]
    assert len(built["layers"]) == 2
    crane.run("crane", "mutate", "--insecure", "--label", "a=b", other.tag("v1"))
    assert "extra" in crane.run("crane", "export", "--insecure", other.tag("v1"), "-").stdout


def test_validates_a_whole_image(crane: Sandbox, remote: Remote) -> None:
    remote.push(random_image(10_000, layers=2), "v1")
    assert "PASS" in crane.run("crane", "validate", "--insecure", "--remote", remote.tag("v1")).stdout


def test_absent_things(crane: Sandbox, remote: Remote) -> None:
    remote.push(random_image(), "v1")
    missing = crane.run("crane", "manifest", "--insecure", remote.tag("absent"), ok=False)
    assert "MANIFEST_UNKNOWN" in missing.stderr
