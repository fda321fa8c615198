"""What pages weigh, compressed as the web sends them; portal/README.md says why."""

from collections.abc import Callable

import brotli
import pytest

from haven_core.projects.services import create_project
from haven_portal.assets import assets
from tests.portal.conftest import Browser

CSS, JS, HTML = 12_000, 25_000, 15_000  # bytes


def weight(data: bytes) -> int:
    return len(brotli.compress(data, quality=11))


def test_files() -> None:
    found = assets()
    assert weight(found["haven.css"].body) <= CSS
    assert weight(found["haven.js"].body) + weight(found["htmx.js"].body) <= JS


@pytest.mark.usefixtures("transactional_db")
def test_pages(signed_in: Callable[..., Browser], team: dict[str, int]) -> None:
    for number in range(25):
        create_project(name=f"a-project-with-a-name-{number}", owner_id=team["owner"], is_public=True)
    browser = signed_in("root", "zh-CN")
    for number in range(25):
        browser.post("/projects/team/labels/-/new", name=f"label {number}", color="#123456")
        browser.post("/projects/team/robots/-/new", name=f"robot-{number}", preset="pull", days=30)
    for path in ("/", "/projects/", "/projects/team/labels", "/projects/team/robots", "/ops/quotas", "/-/ui"):
        assert weight(browser.get(path).content) <= HTML, path
