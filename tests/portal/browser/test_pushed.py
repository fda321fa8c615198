"""Journeys about what was pushed, by real pushes; numbers as in the list of journeys."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.portal.browser.conftest import PASSWORD, PHONE, Site
from tests.portal.browser.test_looks import _look
from tests.support.client import RegistryClient
from tests.support.client import expect as expect_status
from tests.support.oci import OCI_CONFIG, Blob, Manifest, artifact, image, index, random_layer, write_layout
from tests.support.tools import Sandbox, requires

Visit = Callable[..., Page]
pytestmark = requires("skopeo")
_HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD rootfs.tar / "},
    {"created_by": "ENV VERSION=1", "empty_layer": True},
    {"created_by": "RUN /bin/sh -c make install # buildkit"},
]


def push(site: Site, repository: str, manifest: Manifest, *tags: str) -> Manifest:
    """By skopeo, once for each tag; what has none, or is attached to something, as such clients do."""
    if not tags or "subject" in manifest.document:
        return push_at_once(site, repository, manifest, *tags)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder) / "home")
        layout = write_layout(Path(folder) / "image", dict.fromkeys(tags, manifest))
        options = ["--insecure-policy", "--all", "--preserve-digests", "--dest-tls-verify=false"]
        for tag in tags:
            target = f"docker://{site.server.host_port}/{repository}:{tag}"
            login = ["--dest-creds", f"admin:{PASSWORD}"]
            sandbox.run("skopeo", "copy", *options, *login, f"oci:{layout}:{tag}", target)
    return manifest


def push_at_once(site: Site, repository: str, manifest: Manifest, *tags: str) -> Manifest:
    """Blobs, then manifests, children first."""
    client = RegistryClient(site.url, "admin", PASSWORD)
    for blob in manifest.all_blobs():
        client.push_blob(repository, blob)
    for each in manifest.manifests():
        expect_status(client.put_manifest(repository, each), 201)
    for tag in tags:
        expect_status(client.put_manifest(repository, manifest, tag), 201)
    return manifest


def build(layers: Sequence[Blob], *, architecture: str = "amd64", version: str = "1", **config: Any) -> Manifest:
    """An image of these layers, with a history of two that made one each."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"VERSION={version}"], "Labels": {"version": version}, "Entrypoint": ["/run"], **config},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": _HISTORY,
    }
    return image(layers, config=Blob(json.dumps(document).encode(), OCI_CONFIG), architecture=architecture)


def page_of(project: str, repository: str, rest: str = "") -> str:
    return f"/projects/{project}/repos/{repository}/-/{rest}"


def rows(page: Page) -> list[str]:
    return page.locator("tbody tr .name a").all_inner_texts()


def test_7_the_first_push_appears(site: Site, visit: Visit) -> None:
    name = site.project()
    page = visit(f"/projects/{name}/")
    expect(page.get_by_role("heading", name="No repositories yet")).to_be_visible()
    expect(page.locator("main")).to_contain_text(f"docker push {site.server.host_port}/{name}/my-image:latest")
    page.evaluate("window.stays = true")
    push(site, f"{name}/app", build([random_layer(500), random_layer(500)]), "v1")
    expect(page.get_by_role("link", name="app", exact=True)).to_be_visible()
    assert page.evaluate("window.stays")
    page.reload()
    expect(page.locator(".stats")).to_contain_text("in 1 repository")


def test_8_a_list_is_what_its_address_says(site: Site, visit: Visit) -> None:
    name = site.project()
    small = build([random_layer(100), random_layer(100)])
    for number in range(27):
        push_at_once(site, f"{name}/group/r{number:02}", small, "v1")
    push(site, f"{name}/large", build([random_layer(90_000), random_layer(100)]), "v1")
    page = visit(f"/projects/{name}/")
    page.get_by_role("link", name="Size · unique").click()
    assert rows(page)[0] == "large"
    page.get_by_role("link", name="Next").click()
    assert len(rows(page)) == 3
    page.get_by_label("Rows").select_option("50")
    expect(page.locator("tbody tr")).to_have_count(28)
    page.get_by_label("Filter repositories").fill("group/r1")
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page).to_have_url(re.compile("q=group%2Fr1"))
    here, shown = page.url, rows(page)
    page.get_by_role("link", name="group/r10").click()
    expect(page).to_have_url(f"{site.url}{page_of(name, 'group/r10')}")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(10)
    assert (page.url, rows(page)) == (here, shown)
    assert rows(visit(here.removeprefix(site.url))) == shown


def test_9_the_tree_by_keyboard(site: Site, visit: Visit) -> None:
    name = site.project()
    for repository in ("a/b/one", "a/two", "z"):
        push(site, f"{name}/{repository}", build([random_layer(100), random_layer(100)]), "v1")
    page = visit(f"/projects/{name}/?view=tree", size=PHONE)
    page.locator("[data-tree] summary").first.focus()
    for key, text in (
        ("ArrowDown", "b"), ("ArrowDown", "one"), ("ArrowLeft", "b"), ("ArrowLeft", "b"), ("ArrowDown", "two"),
        ("ArrowDown", "z"), ("ArrowUp", "two"), ("Home", "a"), ("End", "z"), ("Home", "a"), ("ArrowRight", "b"),
        ("ArrowRight", "b"), ("ArrowRight", "one"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.childNodes[1].textContent") == text, key
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}{page_of(name, 'a/b/one')}")


def test_10_tags(site: Site, visit: Visit) -> None:
    name = site.project()
    for number, tags in enumerate((("1.10.0", "stable"), ("1.9.0",), ("1.10.0-rc.1",))):
        push(site, f"{name}/app", build([random_layer(100), random_layer(100)], version=str(number)), *tags)
    page = visit(page_of(name, "app", "?sort=-version"))
    assert rows(page) == ["1.10.0", "1.10.0-rc.1", "1.9.0", "stable"]
    page.get_by_role("button", name="Copy the command that pulls 1.9.0").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"docker pull {site.server.host_port}/{name}/app:1.9.0"
    with page.expect_navigation():
        page.get_by_label("Pull with").select_option("podman")
    page.goto(f"{site.url}{page_of(name, 'app', 'a/1.9.0/')}")
    expect(page.locator(".command").first).to_have_text(
        re.compile(rf"podman pull --tls-verify=false {site.server.host_port}/{name}/app:1\.9\.0")
    )
    expect(page.locator(".command").nth(1)).to_contain_text("app@sha256:")
    # plain HTTP to another host has no navigator.clipboard
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.locator(".command .copy").first.click()
    expect(page.locator("#toasts")).to_contain_text("Copied")


def test_11_an_artifact(site: Site, visit: Visit) -> None:
    name = site.project()
    base = random_layer(5000)
    first = push(site, f"{name}/app", build([base, random_layer(2000)]), "v1")
    other = build([base, random_layer(700)], architecture="arm64")
    push(site, f"{name}/app", index([first, other]), "multi")
    page = visit(page_of(name, "app", "a/v1/"))
    steps = page.locator("#layers tbody tr")
    expect(steps).to_have_count(3)
    expect(steps.nth(0)).to_contain_text("ADD rootfs.tar /")
    expect(steps.nth(2)).to_contain_text("RUN make install")
    expect(steps.nth(0).locator(".pill")).to_have_text("2")
    expect(steps.nth(2).locator(".pill")).to_have_text("only here")
    page.goto(f"{site.url}{page_of(name, 'app', 'a/multi/')}")
    expect(page.locator("#layers tbody tr")).to_have_count(3)
    page.locator("tr", has_text="linux/arm64").get_by_role("link", name="Layers").click()
    expect(page.locator("tr.is-selected")).to_contain_text("linux/arm64")
    expect(page.locator("#layers tbody tr").nth(0).locator(".pill")).to_have_text("2")
    page.locator("#layers a.pill").first.click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.goto(f"{site.url}{page_of(name, 'app', 'a/v1/manifest')}")
    shown = json.loads(page.locator("pre").first.inner_text())
    assert shown == first.document
    sizes = sum(layer["size"] for layer in shown["layers"])
    page.goto(f"{site.url}{page_of(name, 'app', 'a/v1/layers')}")
    expect(page.locator("#layers header")).to_contain_text(f"2 layers · {sizes / 1024:.1f} KiB")


def test_12_two_tags(site: Site, visit: Visit) -> None:
    name = site.project()
    base = random_layer(5000)
    push(site, f"{name}/app", build([base, random_layer(2000)], version="1"), "v1")
    push(site, f"{name}/app", build([base, random_layer(900)], version="2"), "v2")
    page = visit(page_of(name, "app", "compare"))
    page.get_by_label("First").fill("v1")
    page.get_by_label("Second").fill("v2")
    page.get_by_role("button", name="Compare").click()
    for state, number in (("is-same", 1), ("is-added", 1), ("is-removed", 1), ("is-changed", 2)):
        expect(page.locator(f"tr.{state}")).to_have_count(number)
    page.get_by_role("link", name="Swap").click()
    expect(page).to_have_url(re.compile(r"a=v2&b=v1"))


def test_15_history_and_back(site: Site, visit: Visit) -> None:
    name = site.project()
    first = push(site, f"{name}/app", build([random_layer(100), random_layer(100)], version="1"), "live")
    second = push(site, f"{name}/app", build([random_layer(100), random_layer(100)], version="2"), "other")
    page = visit(page_of(name, "app", "tag?name=live"))
    page.get_by_label("Artifact").fill("other")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text(f"live names {second.digest[7:19]} now.")
    page.locator("tr", has=page.get_by_role("link", name="live", exact=True)).locator("summary").click()
    page.get_by_role("link", name="History").last.click()
    expect(page.locator(".timeline li")).to_have_count(2)
    page.get_by_role("button", name="Go back to this").click()
    expect(page.locator("#toasts")).to_contain_text(f"live names {first.digest[7:19]} again.")
    expect(page.locator(".timeline li").first).to_contain_text("rolled back")
    client = RegistryClient(site.url, "admin", PASSWORD)
    assert client.head_manifest(f"{name}/app", "live").headers["Docker-Content-Digest"] == first.digest


def test_16_delete_undo_trash(site: Site, visit: Visit) -> None:
    name = site.project()
    for number in range(4):
        tags = (f"v{number}", "sister") if number == 1 else (f"v{number}",)
        push(site, f"{name}/app", build([random_layer(100), random_layer(100)], version=str(number)), *tags)
    page = visit(page_of(name, "app", "?sort=name"))
    page.get_by_label("Select v0").click()
    page.get_by_label("Select v2").click(modifiers=["Shift"])
    expect(page.locator(".bulk")).to_contain_text("3 selected")
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("heading", name="Delete 3 tags?")).to_be_visible()
    expect(page.locator(".affected")).to_contain_text("sister")
    page.get_by_label("The artifacts, with all their tags").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("3 artifacts are in the trash.")
    assert rows(page) == ["v3"]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("3 things are restored.")
    page.goto(f"{site.url}{page_of(name, 'app', 'a/v0/')}")
    page.get_by_label("More actions").click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("The artifact is in the trash.")
    assert sorted(rows(page)) == ["sister", "v1", "v2", "v3"]
    page.goto(f"{site.url}/projects/{name}/trash")
    page.get_by_role("button", name="Restore").last.click()
    expect(page).to_have_url(f"{site.url}{page_of(name, 'app')}")
    assert "v0" in rows(page)
    page.get_by_label("Move the repository to the trash").click()
    expect(page).to_have_url(f"{site.url}/projects/{name}/")
    page.goto(f"{site.url}/projects/{name}/trash")
    page.get_by_label("for good").click()
    question = page.get_by_role("dialog")
    expect(question.get_by_role("button", name="Delete for good")).to_be_disabled()
    question.get_by_label("to confirm").fill(f"{name}/app")
    question.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#toasts")).to_contain_text("It is deleted for good.")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()


def test_17_immutable_tags(site: Site, visit: Visit) -> None:
    name = site.project()
    push(site, f"{name}/app", build([random_layer(100), random_layer(100)]), "v1", "edge")
    page = visit(f"/projects/{name}/immutability")
    page.get_by_role("link", name="New rule").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("[name=tag_pattern]").fill("v*")
    expect(dialog.locator("#preview")).to_contain_text("app:v1")
    expect(dialog.locator("#preview")).not_to_contain_text("edge")
    dialog.get_by_role("button", name="Create").click()
    expect(page.locator("#toasts")).to_contain_text("The rule holds from now on.")
    for _ in range(20):  # other processes follow a rule after some seconds
        page.goto(f"{site.url}{page_of(name, 'app')}")
        if page.get_by_label("Select v1").count() == 0:
            break
        time.sleep(0.5)
    expect(page.locator("tr", has_text="v1").locator("td").first).to_contain_text(
        "A rule of the project makes this tag immutable"
    )
    page.goto(f"{site.url}{page_of(name, 'app', 'delete-tags?tag=v1')}")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("A rule of the project makes this tag immutable.")
    assert "v1" in rows(page)


def test_25_search(site: Site, visit: Visit) -> None:
    name, user = site.project(), site.user()
    pushed = push(site, f"{name}/deep/app", build([random_layer(100), random_layer(100)]), "release-77")
    page = visit("/", size=PHONE)
    theirs = visit("/", user=user)
    for text in (name, "release-77", pushed.digest[:19], pushed.digest.removeprefix("sha256:")[:12], f"{name}/deep"):
        for who, is_found in ((page, True), (theirs, False)):
            who.keyboard.press("/")
            expect(who.locator("#search")).to_be_focused()
            who.locator("#search").fill(text)
            who.keyboard.press("Enter")
            expect(who.get_by_role("heading", level=1)).to_contain_text(text)
            found = who.locator("main section")
            assert (name in " ".join(found.all_inner_texts())) is is_found, text
            who.locator("h1").click()
    reference = f"{site.server.host_port}/{name}/deep/app:release-77"
    page.locator("#search").fill(reference)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}{page_of(name, 'deep/app', 'a/release-77/')}")
    page.goto(f"{site.url}/{name}/deep/app@{pushed.digest}")
    assert unquote(urlsplit(page.url).path) == page_of(name, "deep/app", f"a/{pushed.digest}/")
    theirs.goto(f"{site.url}/{name}/deep/app:release-77")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("You have no access")


def test_16_without_javascript(site: Site, visit: Visit) -> None:
    name = site.project()
    push(site, f"{name}/app", build([random_layer(100), random_layer(100)]), "v1", "v2")
    page = visit(page_of(name, "app"), has_js=False, language="zh-CN", size=PHONE)
    page.get_by_label("选择 v1").check()
    page.get_by_role("button", name="删除…").click()
    page.locator("main button.danger").click()
    assert "已删除 1 个标签" in page.inner_text("#toasts")
    page.get_by_role("button", name="撤销").click()
    assert sorted(rows(page)) == ["v1", "v2"]
    page.goto(f"{site.url}{page_of(name, 'app', 'a/v1/')}")
    page.get_by_role("link", name="查看镜像层").click()
    assert page.locator("tbody tr").count() == 3


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_looks(visit: Visit, site: Site, language: str) -> None:
    name = site.project()
    base = random_layer(3000)
    first = push(site, f"{name}/app", build([base, random_layer(900)]), "v1.0.0", "a-tag-with-a-name-that-goes-on" * 3)
    push(site, f"{name}/app", index([first, build([base, random_layer(5)], architecture="arm64")]), "latest", "v2")
    push(site, f"{name}/app", artifact(subject=first, artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"))
    push(site, f"{name}/" + "/".join(["a-long-part-of-a-name"] * 5), build([base, random_layer(5)]), "v1")
    push(site, f"{name}/gone", build([base, random_layer(6)]), "v1", "v2", "v3", "v4", "v5")
    assert site.server.api("DELETE", f"/projects/{name}/repositories/gone/artifacts/v1").ok
    repository = page_of(name, "app")
    pages = (
        f"/projects/{name}/", f"/projects/{name}/?view=tree", f"/projects/{name}/?dialog=push",
        f"/projects/{name}/insights", f"/projects/{name}/trash",
        repository, f"{repository}?show=untagged", f"{repository}about", f"{repository}history?tag=v2",
        f"{repository}compare?a=v1.0.0&b=v2", f"{repository}tag?name=v2", f"{repository}delete-tags?tag=v2",
        f"{repository}a/v1.0.0/", f"{repository}a/latest/", f"{repository}a/v1.0.0/layers",
        f"{repository}a/v1.0.0/referrers", f"{repository}a/v1.0.0/used-by", f"{repository}a/v1.0.0/manifest",
        f"{repository}a/v1.0.0/copy", f"{repository}a/v1.0.0/labels", f"{repository}a/v1.0.0/delete", "/search?q=app",
        f"/projects/{name}/immutability?dialog=new-rule",
    )  # fmt: skip
    found: list[str] = []
    _look(visit("/", language=language, bypass_csp=True), site, pages, found)
    assert not found, "\n".join(found)
