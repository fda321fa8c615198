"""What every page has: languages, theme, headers, files, errors."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.http import HttpRequest

import haven_portal
from haven_portal.assets import assets
from haven_portal.errors import server_error
from portal.make_icons import named_icons
from tests.portal.conftest import Browser

PACKAGE = Path(haven_portal.__file__).parent
pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.mark.parametrize(
    ("language", "code", "words"), [("en", "en", "Push an image"), ("zh-CN", "zh-Hans", "推送镜像")]
)
def test_speaks_the_browsers_language(language: str, code: str, words: str) -> None:
    page = Browser(language).text("/")
    assert f'<html lang="{code}" data-theme="auto">' in page
    assert words in page


def test_choices_outlive_the_session(signed_in: Callable[..., Browser]) -> None:
    browser = signed_in("root")
    assert browser.post("/-/preferences", theme="dark", next="/projects/")["Location"] == "/projects/"
    browser.post("/-/preferences", language="zh-hans")
    assert '<html lang="zh-Hans" data-theme="dark">' in browser.text("/projects/")
    browser.post("/sign-out")
    assert '<html lang="zh-Hans" data-theme="dark">' in browser.text("/sign-in")


def test_keys_can_be_switched_off(signed_in: Callable[..., Browser]) -> None:
    browser = signed_in("root")
    page = browser.text("/-/keys")
    assert "<kbd>j</kbd> <kbd>k</kbd>" in page
    assert "<kbd>g</kbd> <kbd>q</kbd>" in page
    assert "data-no-keys" not in page
    assert browser.post("/-/preferences", keys="off", next="/-/keys")["Location"] == "/-/keys"
    assert "<body data-no-keys" in browser.text("/-/keys")
    browser.post("/-/preferences", keys="whatever")
    assert "<body data-no-keys" in browser.text("/projects/")
    browser.post("/-/preferences", keys="on")
    assert "data-no-keys" not in browser.text("/projects/")


def test_unknown_choices_are_ignored(browser: Browser) -> None:
    browser.post("/-/preferences", theme='"><script>', language="xx")
    assert '<html lang="en" data-theme="auto">' in browser.text("/")


def test_pages_run_only_our_files(browser: Browser) -> None:
    answer = browser.get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Frame-Options"] == "DENY"


def test_templates_hold_no_inline_code() -> None:
    for file in (PACKAGE / "templates").rglob("*.html"):
        text = file.read_text()
        assert not re.search(r"""\sstyle=|<style|<script(?! src=)|\son[a-z]+=["']|hx-on|javascript:""", text), file


def test_host_is_text(browser: Browser) -> None:
    assert b"<script>alert" not in browser.get("/", host="<script>alert(1)</script>").content


@pytest.mark.parametrize("name", ["haven.css", "haven.js", "htmx.js", "icons.svg", "logo.svg"])
def test_files_are_compressed_and_kept(browser: Browser, name: str) -> None:
    asset = assets()[name]
    answer = browser.get(f"/static/{asset.version}/{name}", **{"accept-encoding": "gzip"})
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.content) == asset.body == browser.get(f"/static/{asset.version}/{name}").content
    assert browser.get(f"/static/000000000000/{name}")["Cache-Control"] == "no-cache"


def test_unknown_files_are_missing(browser: Browser) -> None:
    assert browser.get("/static/000000000000/../settings.py").status_code == 404
    assert browser.get("/static/000000000000/other.js").status_code == 404


def test_sprite_holds_what_is_named() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (PACKAGE / "static/img/icons.svg").read_text()))
    assert sprite == set(named_icons())


@pytest.mark.parametrize("path", ["/nothing", "/projects/Not-A-Name/", "/projects/team/nothing"])
def test_unknown_addresses(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_programs_get_json(browser: Browser) -> None:
    answer = browser.get("/c/nothing")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "NOT_FOUND"


def test_fault_page_names_the_request() -> None:
    request = HttpRequest()
    request.META |= {"HTTP_X_REQUEST_ID": "the-request", "SERVER_NAME": "host", "SERVER_PORT": "80"}
    answer = server_error(request)
    assert answer.status_code == 500
    assert b"the-request" in answer.content


def test_style_guide_is_for_administrators(signed_in: Callable[..., Browser], browser: Browser) -> None:
    assert browser.get("/-/ui").status_code == 404
    assert "Every component once." in signed_in("root").text("/-/ui")
