"""skopeo: copy both ways, inspect, list, delete, sync; private and public projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Remote, login, same_content
from tests.support.oci import (
    artifact,
    digest_of,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
    read_layout,
    write_layout,
)
from tests.support.tools import Sandbox, requires

pytestmark = requires("skopeo")

PLAIN_SOURCE = "--src-tls-verify=false"
PLAIN_TARGET = "--dest-tls-verify=false"
ANYTHING = "--insecure-policy"


@pytest.fixture
def skopeo(sandbox: Sandbox, remote: Remote) -> Sandbox:
    """Logged in."""
    login(sandbox, remote, "skopeo", "--tls-verify=false")
    return sandbox


def copy(sandbox: Sandbox, source: object, target: object, *options: str, ok: bool = True) -> str:
    done = sandbox.run("skopeo", "copy", ANYTHING, PLAIN_SOURCE, PLAIN_TARGET, *options, source, target, ok=ok)
    return done.stdout + done.stderr


def test_wrong_password_is_refused(sandbox: Sandbox, remote: Remote) -> None:
    words = ["login", "--tls-verify=false", "-u", remote.server.admin_user, "--password-stdin", remote.server.host_port]
    refused = sandbox.run("skopeo", *words, stdin="wrong", ok=False)
    assert "invalid username/password" in refused.stderr


def test_image_travels_both_ways_byte_for_byte(skopeo: Sandbox, remote: Remote, tmp_path: Path) -> None:
    pushed = random_image(200_000, layers=3)
    layout = write_layout(tmp_path / "out", {"v1": pushed})
    copy(skopeo, f"oci:{layout}:v1", f"docker://{remote.tag('v1')}")
    assert remote.digest("v1") == pushed.digest
    assert same_content(remote.pull("v1"), pushed)
    copy(skopeo, f"docker://{remote.tag('v1')}", f"oci:{tmp_path / 'in'}:v1")
    assert read_layout(tmp_path / "in") == read_layout(layout)


def test_inspect_and_list_tags(skopeo: Sandbox, remote: Remote) -> None:
    pushed = remote.push(random_image(), "b")
    remote.push(random_image(), "a")
    seen = skopeo.json("skopeo", "inspect", "--tls-verify=false", f"docker://{remote.tag('b')}")
    assert seen["Digest"] == pushed.digest
    assert seen["Architecture"] == "amd64"
    raw = skopeo.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{remote.at(pushed)}")
    assert raw.stdout.encode() == pushed.payload
    tags = skopeo.json("skopeo", "list-tags", "--tls-verify=false", f"docker://{remote.name}")
    assert tags["Tags"] == ["a", "b"]


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_every_architecture_is_copied(skopeo: Sandbox, remote: Remote, tmp_path: Path, *, docker: bool) -> None:
    images = [random_image(architecture=name, docker=docker) for name in ("amd64", "arm64", "s390x")]
    both = remote.push(index(images, docker=docker), "multi")
    folder = tmp_path / "dir"
    copy(skopeo, f"docker://{remote.tag('multi')}", f"dir:{folder}", "--all")
    copy(skopeo, f"dir:{folder}", f"docker://{remote.tag('again')}", "--all")
    assert remote.digest("again") == both.digest
    one = copy(skopeo, f"docker://{remote.tag('multi')}", f"dir:{tmp_path / 'one'}", "--override-arch=arm64")
    assert (tmp_path / "one" / "manifest.json").read_bytes() == images[1].payload, one


def test_copy_between_repositories(skopeo: Sandbox, remote: Remote) -> None:
    """skopeo tries to mount each blob from the repository it knows it in."""
    pushed = remote.push(random_image(50_000, layers=2), "v1")
    other = Remote(remote.server, remote.repository + "/copy")
    copy(skopeo, f"docker://{remote.tag('v1')}", f"docker://{other.tag('v1')}")
    assert same_content(other.pull("v1"), pushed)


def test_sha512_artifact_is_readable_by_digest(skopeo: Sandbox, remote: Remote) -> None:
    thing = artifact([random_blob(algorithm="sha512")])
    remote.push(thing, "thing")
    raw = skopeo.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{remote.tag('thing')}")
    assert raw.stdout.encode() == thing.payload


def test_delete(skopeo: Sandbox, remote: Remote) -> None:
    doomed = remote.push(random_image(), "doomed")
    remote.push(random_image(), "kept")
    skopeo.run("skopeo", "delete", "--tls-verify=false", f"docker://{remote.tag('doomed')}")
    assert not remote.exists("doomed")
    assert not remote.exists(doomed.digest)
    assert remote.exists("kept")
    gone = skopeo.run("skopeo", "inspect", "--tls-verify=false", f"docker://{remote.tag('doomed')}", ok=False)
    assert "manifest unknown" in gone.stderr


def test_sync_of_a_whole_repository(skopeo: Sandbox, remote: Remote, tmp_path: Path) -> None:
    images = {tag: remote.push(random_image(), tag) for tag in ("1.0", "1.1", "latest")}
    words = ["sync", ANYTHING, PLAIN_SOURCE, "--src=docker", "--dest=dir", remote.name, tmp_path / "mirror"]
    skopeo.run("skopeo", *words)
    for tag, pushed in images.items():
        assert (tmp_path / "mirror" / f"app:{tag}" / "manifest.json").read_bytes() == pushed.payload
    target = f"{remote.name}/synced"
    skopeo.run("skopeo", "sync", ANYTHING, PLAIN_TARGET, "--src=dir", "--dest=docker", tmp_path / "mirror", target)
    assert Remote(remote.server, f"{remote.repository}/synced/app").digest("1.1") == images["1.1"].digest


def test_second_push_of_known_content(skopeo: Sandbox, remote: Remote, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "out", {"v1": random_image(100_000)})
    for tag in ("v1", "v1", "v2"):
        copy(skopeo, f"oci:{layout}:v1", f"docker://{remote.tag(tag)}")
    assert remote.digest("v1") == remote.digest("v2")


def test_anonymous_reads_public_and_nothing_else(
    sandbox: Sandbox, remote: Remote, public_remote: Remote, tmp_path: Path
) -> None:
    """Nobody logs in here: pull of a public project works, of a private one, or any push, does not."""
    public = public_remote.push(random_image(), "v1")
    remote.push(random_image(), "v1")
    copy(sandbox, f"docker://{public_remote.tag('v1')}", f"oci:{tmp_path / 'in'}:v1")
    assert read_layout(tmp_path / "in").get(public.digest) == public.payload
    refused = copy(sandbox, f"docker://{remote.tag('v1')}", f"dir:{tmp_path / 'no'}", ok=False)
    assert "unauthorized" in refused.lower() or "authentication required" in refused.lower()
    layout = write_layout(tmp_path / "out", {"evil": random_image()})
    copy(sandbox, f"oci:{layout}:evil", f"docker://{public_remote.tag('evil')}", ok=False)
    assert not public_remote.exists("evil")


def test_layer_of_many_megabytes(skopeo: Sandbox, remote: Remote, tmp_path: Path) -> None:
    big = random_layer(24 * 1024 * 1024, seed="big")
    layout = write_layout(tmp_path / "out", {"v1": image([big])})
    copy(skopeo, f"oci:{layout}:v1", f"docker://{remote.tag('v1')}")
    answer = remote.server.client().get_blob(remote.repository, big.digest)
    assert digest_of(answer.content) == big.digest


def test_a_personal_token_is_a_password_for_what_it_is_for(sandbox: Sandbox, remote: Remote, tmp_path: Path) -> None:
    if remote.server.external:
        pytest.skip("another registry under test: it may have no personal tokens")
    server, own = remote.server, {}
    for scope in ("push", "pull"):
        body = {
            "name": f"{scope} {remote.repository}",
            "scope": scope,
            "projects": [remote.repository.partition("/")[0]],
        }
        made = server.api("POST", "/users/current/tokens", json=body)
        assert made.status_code == 201, made.text
        own[scope] = made.json()
    words = ["login", "--tls-verify=false", "-u", server.admin_user, "--password-stdin", server.host_port]
    layout = write_layout(tmp_path / "out", {"v1": random_image(20_000)})
    sandbox.run("skopeo", *words, stdin=own["push"]["secret"])
    copy(sandbox, f"oci:{layout}:v1", f"docker://{remote.tag('v1')}")
    sandbox.run("skopeo", *words, stdin=own["pull"]["secret"])
    copy(sandbox, f"docker://{remote.tag('v1')}", f"dir:{tmp_path / 'in'}")
    copy(sandbox, f"oci:{layout}:v1", f"docker://{remote.tag('v2')}", ok=False)
    assert server.client().tags(remote.repository) == ["v1"]
    for one in own.values():
        assert server.api("DELETE", f"/users/current/tokens/{one['id']}").status_code == 200
    refused = sandbox.run("skopeo", *words, stdin=own["pull"]["secret"], ok=False)
    assert "invalid username/password" in refused.stderr
