"""The keyboard in lists, a session that ends while somebody works (journey 4), and an account that one makes oneself."""

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.portal.browser.conftest import PASSWORD, PHONE, Site, sign_in
from tests.portal.browser.test_pushed import build, page_of, push
from tests.support.oci import random_layer

Visit = Callable[..., Page]


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


def end_session(page: Page, site: Site) -> None:
    """The cookie stays, and stands for nothing any more."""
    page.context.add_cookies([{"name": "sid", "value": "x" * 43, "url": site.url, "httpOnly": True}])


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.textContent")
    return text


def test_the_keyboard_in_a_list(site: Site, visit: Visit) -> None:
    name = site.project()
    for tag in ("v1", "v2", "v3"):
        push(site, f"{name}/app", build([random_layer(100), random_layer(100)], version=tag), tag)
    page = visit(f"{page_of(name, 'app')}?sort=name")
    for key, tag in (("j", "v1"), ("j", "v2"), ("j", "v3"), ("j", "v3"), ("k", "v2"), ("k", "v1"), ("k", "v1")):
        page.keyboard.press(key)
        assert focused(page) == tag, key
    boxes = page.locator("tbody .pick input")
    page.keyboard.press("x")
    assert [box.is_checked() for box in boxes.all()] == [True, False, False]
    for key in ("j", "j", "Shift+X"):
        page.keyboard.press(key)
    assert [box.is_checked() for box in boxes.all()] == [True, True, True]
    page.keyboard.press("c")
    expect(page.locator("#toasts")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"docker pull {site.server.host_port}/{name}/app:v3"
    page.keyboard.press("k")  # the copy button of the row has the focus, and the row goes on from there
    assert focused(page) == "v2"
    page.keyboard.press("/")
    page.keyboard.type("jkxc?")
    assert page.locator("#search").input_value() == "jkxc?"
    assert [box.is_checked() for box in boxes.all()] == [True, True, True]


def test_the_keys_are_told_and_switched_off(site: Site, visit: Visit) -> None:
    page = visit("/projects/", user=site.user())
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.get_by_role("button", name="Switch the keys off").click()
    expect(page.get_by_role("button", name="Switch the keys on")).to_be_visible()
    for key in ("g", "p", "/", "?"):
        page.keyboard.press(key)
    assert path_of(page) == "/-/keys"
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_role("button", name="Switch the keys on").click()
    page.get_by_role("button", name="Switch the keys off").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page).to_have_url(f"{site.url}/projects/")


@pytest.mark.parametrize(
    ("language", "over", "wrong"),
    [
        ("en-US", "Your session has ended", "The user name or the password is wrong."),
        ("zh-CN", "您的会话已结束", "用户名或密码错误"),
    ],
)
def test_4_a_form_outlives_the_session(site: Site, visit: Visit, language: str, over: str, wrong: str) -> None:
    user, name = site.user(), f"outlives-{language[:2]}"
    page = visit("/", user=user, language=language, bypass_csp=language != "en-US")  # axe needs that
    page.clock.install()
    page.goto(f"{site.url}/projects/?dialog=new-project")
    page.locator("#id_name").fill(name)
    end_session(page, site)
    page.clock.fast_forward(120_000)
    page.locator("#new-project button.primary").click()
    dialog = page.locator("dialog", has=page.locator("#signs-in-title"))
    expect(dialog).to_contain_text(over)
    assert dialog.locator("[name=username]").input_value() == user
    expect(dialog.locator("[name=password]")).to_be_focused()
    page.keyboard.type("Wrong1password")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text(wrong)
    if language != "en-US":
        assert Axe().run(page).response["violations"] == []
    assert site.server.api("GET", f"/projects/{name}").status_code == 404
    dialog.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/projects/{name}/")
    assert site.server.api("GET", f"/projects/{name}").ok


def test_a_form_is_sent_at_once_while_the_session_stands(site: Site, visit: Visit) -> None:
    page = visit("/", user=site.user())
    page.clock.install()
    page.goto(f"{site.url}/projects/?dialog=new-project")
    page.locator("#id_name").fill("stands")
    page.clock.fast_forward(120_000)
    page.locator("#new-project button.primary").click()
    expect(page).to_have_url(f"{site.url}/projects/stands/")


def test_a_form_sent_too_late_without_javascript(site: Site, visit: Visit) -> None:
    user = site.user()
    page = visit("/projects/?dialog=new-project", user=user, has_js=False, size=PHONE)
    page.locator("#id_name").fill("too-late")
    end_session(page, site)
    page.locator("#new-project button.primary").click()
    assert path_of(page) == "/sign-in"
    assert "Your session has ended. Sign in to go on." in page.inner_text("main")
    sign_in(page, user)
    assert page.url == f"{site.url}/projects/?dialog=new-project"


def test_a_part_of_a_page_asked_for_too_late(site: Site, visit: Visit) -> None:
    user = site.user()
    page = visit("/projects/?per=50", user=user)  # a list that nobody may see too, with less in it
    end_session(page, site)
    page.get_by_label("Filter by name").fill("x")
    expect(page).to_have_url(re.compile("/sign-in"))
    expect(page.locator("main")).to_contain_text("Your session has ended. Sign in to go on.")
    sign_in(page, user)
    assert path_of(page) == "/projects/"
    assert "per=50" in page.url


@pytest.fixture
def registration(site: Site) -> Iterator[None]:
    assert site.server.api("PUT", "/configurations", json={"self_registration": True}).ok
    time.sleep(5.1)  # as late as another process may see it
    yield
    assert site.server.api("PUT", "/configurations", json={"self_registration": False}).ok
    time.sleep(5.1)


@pytest.mark.usefixtures("registration")
def test_an_account_of_ones_own(site: Site, visit: Visit) -> None:
    page = visit("/sign-in?next=/projects/", user="", size=PHONE, bypass_csp=True)
    page.get_by_role("link", name="Create an account").click()
    assert Axe().run(page).response["violations"] == []
    for field, text in (("username", "anne-self"), ("realname", "Anne"), ("email", "anne"), ("password", PASSWORD)):
        page.fill(f"[name={field}]", text)
    page.fill("[name=again]", "Another1word")
    page.click("main button.primary")
    assert page.locator("[aria-invalid=true]").count() == 2
    assert Axe().run(page).response["violations"] == []
    page.fill("[name=email]", "anne@example.com")
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("main button.primary")
    assert path_of(page) == "/sign-in"
    assert "Your account is ready. Sign in." in page.inner_text("#toasts")
    sign_in(page, "anne-self")
    assert path_of(page) == "/projects/"
