"""Projects: who sees which, the list's state in its address, making one, its settings, its end."""

from collections.abc import Callable

import pytest

from haven_core.domain.roles import Role
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project
from haven_core.quotas.models import ProjectQuota
from tests.portal.conftest import MOST_QUERIES, Browser

pytestmark = pytest.mark.usefixtures("transactional_db")
SignedIn = Callable[..., Browser]


def test_who_sees_which(signed_in: SignedIn, projects: dict[str, int], browser: Browser) -> None:
    assert "/projects/private/" not in browser.text("/projects/")
    assert "/projects/public/" in browser.text("/projects/")
    assert "/projects/private/" not in signed_in("stranger").text("/projects/")
    assert "/projects/private/" in signed_in("guest").text("/projects/")
    assert browser.get("/projects/private/")["Location"] == "/sign-in?next=%2Fprojects%2Fprivate%2F"
    for path in ("/projects/private/", "/projects/missing/"):
        answer = signed_in("stranger").get(path)
        assert answer.status_code == 403
        assert "You have no access" in answer.content.decode()
    assert signed_in("root").get("/projects/missing/").status_code == 404


def test_harbors_addresses_lead_here(signed_in: SignedIn, projects: dict[str, int], browser: Browser) -> None:
    guest, number = signed_in("guest"), projects["private"]
    assert (
        guest.get(f"/harbor/projects/{number}/repositories/x/artifacts-tab")["Location"]
        == "/projects/private/repos/x/-/"
    )
    assert guest.get(f"/harbor/projects/{number}/members")["Location"] == "/projects/private/members"
    assert guest.get("/harbor/projects")["Location"] == "/projects/"
    assert browser.get("/account/sign-in")["Location"] == "/sign-in"
    assert signed_in("stranger").get(f"/harbor/projects/{number}").status_code == 403
    assert browser.get(f"/harbor/projects/{number}")["Location"].startswith("/sign-in")


def test_search_finds_what_may_be_seen(signed_in: SignedIn, projects: dict[str, int]) -> None:
    assert "/projects/private/" not in signed_in("stranger").text("/search?q=priv")
    assert "/projects/private/" in signed_in("guest").text("/search?q=priv")
    assert "/projects/private/" in signed_in("guest").text("/search?q=docker+pull+testserver/private:v1")
    assert "Nothing found" in signed_in("guest").text("/search?q=%00%27")


def test_list_filters_sorts_and_pages(signed_in: SignedIn, users: dict[str, int]) -> None:
    for number in range(30):
        create_project(name=f"p{number:02}", owner_id=users["owner"], is_public=number % 2 == 0)
    browser = signed_in("root")
    first = browser.text("/projects/?q=p")
    assert "1–25 of 30" in first
    assert "/projects/p24/" in first
    assert "/projects/p25/" not in first
    assert "/projects/p29/" in browser.text("/projects/?q=p&page=2")
    newest = browser.text("/projects/?sort=-name")
    assert "/projects/p29/" in newest
    assert "/projects/p00/" not in newest
    assert "1–15 of 15" in browser.text("/projects/?access=public")
    assert "1–30 of 30" in browser.text("/projects/?per=50")
    assert "1–30 of 30" in browser.text("/projects/"), "the number of rows is remembered"
    assert "Nothing matches" in browser.text("/projects/?q=zzz")
    for odd in ("page=-1", "page=x", "per=7", "sort=owner_id", "access=x", "q=%00", "page=99999999999"):
        assert browser.get(f"/projects/?{odd}").status_code == 200
    part = browser.get("/projects/?q=p01", **{"hx-request": "true"}).content.decode()
    assert "/projects/p01/" in part
    assert "<html" not in part


def test_create(signed_in: SignedIn, users: dict[str, int]) -> None:
    browser = signed_in("owner")
    assert 'id="new-project"' in browser.text("/projects/")
    bad = browser.post("/projects/-/new", name="Bad Name")
    assert bad.status_code == 422
    assert "Use lower-case letters" in bad.content.decode()
    done = browser.post("/projects/-/new", name="mine", is_public="on", limit="1", unit="MiB")
    assert (done.status_code, done["Location"]) == (303, "/projects/mine/")
    assert Project.objects.get(name="mine").is_public
    assert ProjectQuota.objects.get(project__name="mine").hard_bytes is None, "only administrators choose a limit"
    again = browser.post("/projects/-/new", name="mine")
    assert again.status_code == 422
    assert "There already is a project of this name." in again.content.decode()
    signed_in("root").post("/projects/-/new", name="small", limit="1.5", unit="GiB")
    assert ProjectQuota.objects.get(project__name="small").hard_bytes == 1.5 * 1024**3


def test_create_is_refused(signed_in: SignedIn, users: dict[str, int], browser: Browser) -> None:
    root = signed_in("root")
    answer = root.client.put(
        "/api/v2.0/configurations", '{"project_creation_restriction": "adminonly"}', "application/json",
        headers={"x-harbor-csrf-token": root.get("/")["X-Harbor-CSRF-Token"]},
    )  # fmt: skip
    assert answer.status_code == 200
    owner = signed_in("owner")
    assert 'id="new-project"' not in owner.text("/projects/")
    assert owner.post("/projects/-/new", name="mine").status_code == 403
    assert browser.post("/projects/-/new", name="mine")["Location"].startswith("/sign-in")
    assert not Project.objects.filter(name="mine").exists()


def test_settings(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner, root = signed_in("owner"), signed_in("root")
    owner.post("/projects/team/settings/access", public="on")
    assert Project.objects.get(name="team").is_public
    owner.post("/projects/team/settings/access")
    assert not Project.objects.get(name="team").is_public
    assert owner.post("/projects/team/settings/quota", limit="1", unit="GiB").status_code == 403
    assert ProjectQuota.objects.get(project=team["team"]).hard_bytes is None
    assert root.post("/projects/team/settings/quota", limit="2", unit="GiB").status_code == 303
    assert ProjectQuota.objects.get(project=team["team"]).hard_bytes == 2 * 1024**3
    assert root.post("/projects/team/settings/quota", limit="x", unit="GiB").status_code == 422
    assert "2.0 GiB" in root.text("/ops/quotas")
    assert owner.get("/ops/quotas").status_code == 403


def test_delete_needs_the_name(signed_in: SignedIn, team: dict[str, int]) -> None:
    owner = signed_in("owner")
    wrong = owner.post("/projects/team/settings/delete", typed="tea")
    assert wrong.status_code == 422
    assert Project.objects.get(name="team").deleted_at is None
    assert owner.post("/projects/team/settings/delete", typed="team")["Location"] == "/projects/"
    assert Project.objects.get(name="team").deleted_at is not None


@pytest.mark.parametrize("role", [*Role, None])
def test_tabs_and_addresses_agree(signed_in: SignedIn, team: dict[str, int], role: Role | None) -> None:
    """What a role sees as a tab it may open; what it does not see is 403."""
    if role is not None:
        ProjectMember.objects.create(project_id=team["team"], user_id=team["stranger"], role=role)
    browser = signed_in("stranger")
    page = browser.get("/projects/team/").content.decode()
    for tab in ("insights", "trash", "members", "labels", "robots", "immutability", "activity", "settings"):
        address = f"/projects/team/{tab}"
        assert browser.get(address).status_code == (200 if f'href="{address}"' in page else 403), (role, tab)


def test_queries_do_not_grow_with_rows(signed_in: SignedIn, users: dict[str, int]) -> None:
    browser = signed_in("owner")
    numbers = []
    for batch in ("a", "b"):
        for number in range(12):
            create_project(name=f"{batch}{number}", owner_id=users["owner"], is_public=True)
        numbers.append([browser.queries(path) for path in ("/", "/projects/", "/search?q=a")])
    assert numbers[0] == numbers[1]
    assert max(numbers[1]) <= MOST_QUERIES
