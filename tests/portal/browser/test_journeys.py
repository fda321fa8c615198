"""What people come for, from the first click to the last; numbers as in the list of journeys."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Page, expect

from tests.portal.browser.conftest import PASSWORD, PHONE, Site, sign_in
from tests.support.oci import random_image, write_layout
from tests.support.tools import Sandbox, requires

Visit = Callable[..., Page]


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


def test_2_lock_and_the_way_back(site: Site, visit: Visit) -> None:
    user = site.user()
    page = visit("/activity?operation=login", user="")
    for number in range(5):
        sign_in(page, user, f"Wrong{number}word")
        expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    sign_in(page, user)
    expect(page.get_by_role("alert")).to_contain_text("Too many failed attempts. Try again in")
    page.wait_for_timeout(1500)
    sign_in(page, user)
    expect(page).to_have_url(f"{site.url}/activity?operation=login")


def test_5_language_and_theme_stay(site: Site, visit: Visit) -> None:
    user = site.user()
    page = visit("/sign-in", user="")
    sign_in(page, user)
    page.get_by_text("Theme", exact=True).locator("..").click()
    page.get_by_role("button", name="Dark").click()
    dark = "rgb(12, 19, 27)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.get_by_text("Language", exact=True).locator("..").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.locator("summary:has(.avatar)").click()
    page.get_by_role("button", name="退出登录").click()
    expect(page.locator("#toasts")).to_contain_text("您已退出登录")
    page.goto(f"{site.url}/sign-in")
    sign_in(page, user)
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    # the server says the theme, so there is no moment in the other one
    assert 'data-theme="dark"' in page.request.get(f"{site.url}/").text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_6_create_a_project(site: Site, visit: Visit) -> None:
    page = visit("/projects/")
    page.get_by_role("link", name="New project").click()
    dialog = page.get_by_role("dialog", name="New project")
    expect(dialog.get_by_label("Name")).to_be_focused()
    dialog.get_by_label("Name").fill("Not A Name")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.locator(".error")).to_contain_text("Use lower-case letters and digits")
    expect(dialog.get_by_label("Name")).to_have_value("Not A Name")
    dialog.get_by_label("Name").fill("library")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.locator(".error")).to_have_text("There already is a project of this name.")
    dialog.get_by_label("Name").fill("journey-six")
    dialog.get_by_label("Storage limit").fill("1.5")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(f"{site.url}/projects/journey-six/")
    expect(page.locator("#toasts")).to_contain_text("The project journey-six is ready.")
    expect(page.locator(".page-head")).to_contain_text("1.5 GiB")
    expect(page.locator("main")).to_contain_text(f"docker push {site.server.host_port}/journey-six/my-image:latest")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()


def test_6_without_javascript(site: Site, visit: Visit) -> None:
    page = visit("/projects/", has_js=False, language="zh-CN", size=PHONE)
    page.locator("a", has_text="新建项目").click()
    page.locator("#id_name").fill("journey-without")
    page.locator("dialog button.primary").click()
    assert path_of(page) == "/projects/journey-without/"
    page.goto(f"{site.url}/projects/journey-without/settings/delete")
    page.locator("#typed").fill("journey-without")
    page.locator("main button.danger").click()
    assert path_of(page) == "/projects/"
    assert "journey-without 已删除" in page.inner_text("#toasts")


@requires("skopeo")
def test_8_a_push_is_found(site: Site, visit: Visit, sandbox: Sandbox, tmp_path: Path) -> None:
    name = site.project()
    layout = write_layout(tmp_path / "image", {"v1": random_image(2000)})
    for repository in ("one", "deep/two"):
        target = f"docker://{site.server.host_port}/{name}/{repository}:v1"
        options = ["--insecure-policy", "--dest-tls-verify=false", "--dest-creds", f"admin:{PASSWORD}"]
        sandbox.run("skopeo", "copy", *options, f"oci:{layout}:v1", target)
    page = visit("/")
    page.locator("#search").fill(f"{site.server.host_port}/{name}/deep/two:v1")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(f"{name}/deep/two")
    page.goto(f"{site.url}/projects/?per=50&sort=-creation_time")
    page.get_by_label("Filter by name").fill(name)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("KiB")
    here = page.url
    assert f"q={name}" in here
    assert "sort=-creation_time" in here
    page.get_by_role("link", name=name).click()
    expect(page.locator("tbody")).to_contain_text("deep/two")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.url == here
    expect(visit(here.removeprefix(site.url)).locator("tbody tr")).to_have_count(1)


def test_19_members(site: Site, visit: Visit) -> None:
    name, user = site.project(), site.user()
    group = f"g{user}"
    assert site.server.api("POST", "/usergroups", json={"group_name": group, "group_type": 2}).status_code == 201
    page = visit(f"/projects/{name}/members")
    for kind, who, role in (("user", user, "Guest"), ("group", group, "Developer")):
        page.get_by_role("link", name="Add member").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Kind").select_option(kind)
        dialog.get_by_label("Name").press_sequentially(who)
        expect(dialog.locator(f'datalist option[value="{who}"]')).to_have_count(1)
        dialog.get_by_role("radio", name=role, exact=False).first.check()
        dialog.get_by_role("button", name="Add").click()
        expect(page.locator("#toasts")).to_contain_text(f"{who} is a member now.")
    page.get_by_role("link", name="Add member").click()
    page.get_by_role("dialog").get_by_label("Name").fill("nobody-at-all")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_role("dialog").locator(".error")).to_have_text("There is nobody of this name.")
    page.keyboard.press("Escape")

    theirs = visit(f"/projects/{name}/members", user=user)
    tabs = theirs.locator(".tabs")
    expect(tabs).to_contain_text("Members")
    expect(tabs).not_to_contain_text("Settings")
    expect(theirs.get_by_role("link", name="Add member")).to_have_count(0)
    theirs.goto(f"{site.url}/projects/{name}/settings")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("You have no access")

    page.get_by_label(f"Role of {user}").select_option(label="Project admin")
    expect(page.locator("#toasts")).to_contain_text(f"The role of {user} is changed.")
    theirs.goto(f"{site.url}/projects/{name}/")
    expect(theirs.locator(".tabs")).to_contain_text("Settings")

    page.get_by_label(f"Remove {user}").click()
    question = page.get_by_role("dialog", name=f"Remove {user}?")
    question.get_by_role("link", name="Cancel").click()
    expect(page.get_by_label(f"Remove {user}", exact=True)).to_be_focused()
    page.get_by_label(f"Remove {user}", exact=True).click()
    question.get_by_role("button", name="Remove").click()
    expect(page.locator("#toasts")).to_contain_text(f"{user} is no member any more.")
    theirs.reload()
    expect(theirs.get_by_role("heading", level=1)).to_have_text("You have no access")


def test_20_robot(site: Site, visit: Visit) -> None:
    name = site.project()
    page = visit(f"/projects/{name}/robots")
    page.get_by_role("link", name="New robot").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("builder")
    dialog.get_by_role("radio", name="Push and pull").check()
    dialog.get_by_label("Valid for").select_option("30")
    dialog.get_by_role("button", name="Create").click()
    secret = page.locator("#robot-secret").inner_text()
    page.locator("#robot-secret + .copy").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    login = f"robot${name}+builder"

    def status() -> int:
        scope = f"repository:{name}/image:pull,push"
        asked = {"service": "harbor-registry", "scope": scope}
        return requests.get(f"{site.url}/service/token", auth=(login, secret), params=asked, timeout=10).status_code

    assert status() == 200
    page.get_by_role("link", name="I have copied it").click()
    row = page.locator("tbody tr")
    expect(row).to_contain_text(login)
    expect(row).to_contain_text("Push and pull")
    expect(row).to_contain_text("Enabled")
    assert secret not in page.content()
    page.get_by_label(f"Disable {login}").click()
    expect(page.locator("tbody tr")).to_contain_text("Disabled")
    assert status() == 401
    page.get_by_label(f"Enable {login}").click()
    expect(page.locator("#toasts")).to_contain_text("is enabled")
    page.get_by_label(f"New secret for {login}").click()
    page.get_by_role("button", name="New secret").click()
    assert page.locator("#robot-secret").inner_text() != secret
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_label(f"Delete {login}").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("main")).to_contain_text("No robots yet")


def test_delete_a_project_by_its_name(site: Site, visit: Visit) -> None:
    name = site.project()
    page = visit(f"/projects/{name}/settings")
    page.get_by_role("link", name="Delete").click()
    button = page.get_by_role("button", name="Delete the project")
    expect(button).to_be_disabled()
    page.get_by_label(f"Type {name} to confirm").fill(name)
    button.click()
    expect(page.locator("#toasts")).to_contain_text(f"The project {name} is deleted.")
    assert site.server.api("GET", f"/projects/{name}").status_code == 404
