"""One Haven and one Chromium for the folder. Nothing here opens the database: while Playwright runs, Django forbids it."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.support.stack import ADMIN, HavenServer, running_haven
from tests.support.tools import find_tool, missing_reason

PASSWORD = "Browser1test"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
_EXPECTED = re.compile(r"^Failed to load resource: the server responded with a status of 4(01|03|04|22|29)")


@dataclass
class Site:
    """The server; `first_password`: what it generated, until the first test has changed it to PASSWORD."""

    server: HavenServer
    first_password: str
    states: dict[str, object] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.url

    def user(self, name: str = "") -> str:
        """A new account with PASSWORD; returns its name."""
        name = name or f"u{uuid.uuid4().hex[:8]}"
        body = {"username": name, "password": PASSWORD, "email": f"{name}@example.com", "realname": name}
        answer = self.server.api("POST", "/users", json=body)
        assert answer.status_code == 201, answer.text
        return name

    def project(self, name: str = "") -> str:
        """A new private project of the administrator."""
        return self.server.create_project(name or f"p{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find_tool("chromium")
    if path is None:
        pytest.skip(missing_reason("chromium"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(chromium: Browser) -> Iterator[Site]:
    """A first start: without a password in its environment it generates one, which has to be changed (journey 1)."""
    with running_haven(environment={"HAVEN_ADMIN_PASSWORD": ""}) as server:
        assert server.data_dir is not None
        generated = (server.data_dir / "admin-password").read_text().strip()
        server.admin_password = PASSWORD  # from journey 1 on
        started = Site(server, generated)
        first_sign_in(chromium, started)
        yield started


def first_sign_in(chromium: Browser, site: Site) -> None:
    """Journey 1, in Chinese on a phone: the generated password has to be changed before anything else."""
    context = chromium.new_context(locale="zh-CN", viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{site.url}/projects/")
    assert "public" not in page.url
    page.goto(f"{site.url}/activity")
    sign_in(page, ADMIN, site.first_password)
    assert urlsplit(page.url).path == "/me/password"
    assert "当前密码由系统生成" in page.inner_text("main")
    page.goto(f"{site.url}/projects/")
    assert urlsplit(page.url).path == "/me/password"
    page.goto(f"{site.url}/me/password?next=/")
    page.fill("[name=old]", site.first_password)
    page.fill("[name=new]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("main button.primary")
    assert urlsplit(page.url).path == "/"
    assert "您好，admin" in page.inner_text("h1")
    assert "密码已修改" in page.inner_text("#toasts")
    assert "docker push" in page.inner_text("main")
    context.close()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """By the form that is shown."""
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("main button.primary")


@pytest.fixture
def visit(chromium: Browser, site: Site, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """visit("/path", user=…, language=…, theme=…, size=…): a page in a context of its own. The test fails for any error in
    the console, each report of the policy, failed request, and request to another host. `user`: signed in, "" is nobody."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def watch(page: Page) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not _EXPECTED.match(message.text):
                problems.append(f"console: {message.text}")

        def requested(request: Request) -> None:
            if not request.url.startswith((site.url, "data:")):
                problems.append(f"request to {request.url}")

        page.on("console", console)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", requested)

    def open_page(
        path: str, *, user: str = ADMIN, language: str = "en-US", theme: str = "light",
        size: dict[str, int] = DESKTOP, bypass_csp: bool = False, has_js: bool = True,
    ) -> Page:  # fmt: skip
        context = chromium.new_context(
            locale=language, color_scheme=theme, viewport=size, bypass_csp=bypass_csp,  # type: ignore[arg-type]
            java_script_enabled=has_js, reduced_motion="reduce", storage_state=state_of(user),  # type: ignore[arg-type]
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        watch(page)
        page.goto(site.url + path)
        return page

    def state_of(user: str) -> object:
        if user and user not in site.states:
            context = chromium.new_context()
            page = context.new_page()
            page.goto(f"{site.url}/sign-in")
            sign_in(page, user)
            assert urlsplit(page.url).path == "/", page.inner_text("main")
            site.states[user] = context.storage_state()
            context.close()
        return site.states.get(user)

    yield open_page
    for number, context in enumerate(contexts):
        for page in context.pages:
            if problems:
                page.screenshot(path=tmp_path / f"{number}.png")
        context.close()
    assert problems == []
