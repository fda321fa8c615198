"""Each page in both languages and themes: axe finds nothing, nothing is wider than the screen."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.portal.browser.conftest import Site

PAGES = (
    "/", "/projects/", "/projects/?dialog=new-project", "/activity", "/search?q=li", "/ops/quotas", "/admin/labels",
    "/projects/looks/", "/projects/looks/insights",
    "/projects/looks/members", "/projects/looks/members?dialog=add-member", "/projects/looks/labels",
    "/projects/looks/labels?dialog=label", "/projects/looks/robots", "/projects/looks/robots?dialog=new-robot",
    "/projects/looks/immutability?dialog=new-rule", "/projects/looks/activity", "/projects/looks/settings",
    "/projects/looks/settings/delete", "/me/password", "/-/keys", "/-/ui", "/nothing",
)  # fmt: skip
STRANGERS = ("/", "/sign-in", "/projects/")
WIDTHS = (390, 768, 1440)
MOST_ELEMENTS, MOST_REQUESTS = 1800, 8
_RULES = {"rules": {"target-size": {"enabled": True}}}  # 24 pixels; axe leaves it out unless it is asked


@pytest.fixture(scope="module")
def looks(site: Site) -> None:
    """A project with something on each of its pages."""
    site.project("looks")
    api = site.server.api
    assert api("POST", "/projects/looks/members", json={"role_id": 2, "member_user": {"username": site.user()}}).ok
    project_id = api("GET", "/projects/looks").json()["project_id"]
    label = {
        "name": "a label with a name that goes on and on" * 2,
        "color": "#2F9E44",
        "scope": "p",
        "project_id": project_id,
    }
    assert api("POST", "/labels", json=label).ok
    access = [{"resource": "repository", "action": action} for action in ("pull", "push")]
    robot = {"name": "x" * 60, "level": "project", "duration": -1, "description": "d" * 200}
    robot["permissions"] = [{"kind": "project", "namespace": "looks", "access": access}]  # type: ignore[assignment]
    assert api("POST", "/robots", json=robot).ok


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
@pytest.mark.usefixtures("looks")
def test_pages(visit: Callable[..., Page], site: Site, language: str) -> None:
    found: list[str] = []
    _look(visit("/", language=language, bypass_csp=True), site, PAGES, found)
    _look(visit("/", user="", language=language, bypass_csp=True), site, STRANGERS, found)
    assert not found, "\n".join(found)


def _look(page: Page, site: Site, paths: tuple[str, ...], found: list[str]) -> None:
    for path in paths:
        page.goto(site.url + path)
        page.wait_for_load_state("networkidle")
        elements = page.evaluate("document.getElementsByTagName('*').length")
        loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
        requests = 1 + len({address.partition("#")[0] for address in loaded})
        if elements > MOST_ELEMENTS or requests > MOST_REQUESTS:
            found.append(f"{path} has {elements} elements and made {requests} requests")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            if theme == "dark":  # and all menus open
                page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            # open menus lie above what else there is to touch
            for violation in Axe().run(page, options=_RULES if theme == "light" else None).response["violations"]:
                nodes = "; ".join(node["html"][:200] for node in violation["nodes"][:3])
                found.append(f"{path} {theme} {violation['id']}: {nodes}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{path} is wider than {width}")
