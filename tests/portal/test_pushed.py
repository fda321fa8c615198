"""Pages about what was pushed: what they say, to whom, and with how many statements."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import brotli
import pytest
from django.utils import timezone

from haven_core.domain.roles import Role
from haven_core.domain.selectors import Selector
from haven_core.policies.immutability import create_rule
from haven_core.projects.models import Project, ProjectMember
from haven_core.projects.services import create_project
from haven_registry.models import PullDaily, Tag
from haven_registry.services.repositories import get_or_create_repository
from tests.portal.conftest import MOST_QUERIES, Browser
from tests.portal.pushed import REPOSITORY, push_image, push_index
from tests.portal.test_budgets import HTML
from tests.support.documents import descriptor, digest_of, image
from tests.support.site import Site

pytestmark = pytest.mark.usefixtures("transactional_db")
SignedIn = Callable[..., Browser]


def addresses(reference: str) -> list[str]:
    """Every page that shows something, of a repository and an artifact in it."""
    artifact = f"{REPOSITORY}a/{reference}/"
    return [
        "/projects/private/", "/projects/private/?view=tree", "/projects/private/?sort=-size&q=app",
        "/projects/private/?sort=-pulls",
        "/projects/private/insights", "/projects/private/trash", REPOSITORY, f"{REPOSITORY}?sort=-version",
        f"{REPOSITORY}?sort=name&q=v", f"{REPOSITORY}?show=untagged", f"{REPOSITORY}?side=1", f"{REPOSITORY}about",
        f"{REPOSITORY}compare", f"{REPOSITORY}compare?a=v1&b={reference}", f"{REPOSITORY}history",
        f"{REPOSITORY}history?tag=v1", f"{REPOSITORY}tag?name=v1", f"{REPOSITORY}delete-tags?tag=v1&tag=v2", artifact,
        f"{artifact}layers", f"{artifact}manifest", f"{artifact}referrers", f"{artifact}used-by", f"{artifact}copy",
        f"{artifact}labels",
        f"{artifact}activity", f"{artifact}delete", "/search?q=app", "/search?q=v1",
    ]  # fmt: skip


def test_few_statements_however_much_there_is(signed_in: SignedIn, site: Site) -> None:
    first = push_image(site, "v1")
    push_index(site, "multi", children=(first,))
    browser = signed_in("owner")
    pages = [*addresses("v1"), *addresses("multi")]
    for path in pages:
        browser.text(path)  # explains what was pushed, reads the rules
    before = {path: browser.queries(path) for path in pages}
    for number in range(30):
        push_image(site, f"v{number + 2}", f"w{number}", layers=(b"base", f"{number}".encode()), author=f"a{number}")
        repository = get_or_create_repository(site.project_of(), f"more/r{number}")
        site.put(image(site.upload(b"{}", repository), nonce=number), "t", repository=repository)
    for path in pages:
        browser.text(path)
    after = {path: browser.queries(path) for path in pages}
    assert {path: number for path, number in after.items() if number > MOST_QUERIES} == {}
    assert {path: (before[path], number) for path, number in after.items() if number > before[path] + 1} == {}
    weights = {path: len(brotli.compress(browser.get(path).content, quality=5)) for path in pages}
    assert {path: weight for path, weight in weights.items() if weight > HTML} == {}


def test_ten_thousand_tags(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1")
    manifest = Tag.objects.get(name="v1").manifest
    now = timezone.now()
    Tag.objects.bulk_create(
        Tag(repository_id=site.repository, name=f"v1.{number // 100}.{number % 100}", manifest=manifest, updated_at=now)
        for number in range(10_000)
    )
    browser = signed_in("owner")
    browser.text(REPOSITORY)
    for query in ("", "?sort=-version", "?q=v1.99.", "?page=399"):
        best = min(_seconds(browser, REPOSITORY + query) for _ in range(3))
        assert best <= 0.3, (query, best)
    assert re.findall(r'/a/(v1\.[\d.]+)/"', browser.text(f"{REPOSITORY}?sort=-version"))[:2] == ["v1.99.99", "v1.99.98"]


def _seconds(browser: Browser, path: str) -> float:
    start = time.process_time()  # what others do on this machine says nothing about the page
    browser.text(path)
    return time.process_time() - start


def test_who_sees_what(signed_in: SignedIn, site: Site, browser: Browser) -> None:
    """404 for a stranger says no more than for what is not there; nobody is sent to sign in."""
    digest = push_image(site, "v1")
    owner, guest, stranger = signed_in("owner"), signed_in("guest"), signed_in("stranger")
    for path in [*addresses("v1"), f"{REPOSITORY}a/{digest}/"]:
        assert owner.get(path).status_code == 200, path
        if path.startswith("/search"):
            assert "team/app" not in stranger.text(path)
            assert "team/app" not in browser.text(path)
            continue
        hidden = stranger.get(path)
        assert hidden.status_code == 403, path
        assert b"team/app" not in hidden.content.replace(path.encode(), b"").replace(b"private/repos/team/app", b"")
        assert hidden.status_code == stranger.get(path.replace("private", "nothing")).status_code
        assert browser.get(path)["Location"].startswith("/sign-in?next="), path
    for path in ("delete-tags?tag=v1", "tag?name=v1", "a/v1/labels", "a/v1/delete"):
        assert guest.get(REPOSITORY + path).status_code == 403, path
    page = guest.text(REPOSITORY)
    assert "docker pull" in page
    for absent in ('type="checkbox" name="tag"', "Add tag", "Delete…", "Push commands", "Move this tag"):
        assert absent not in page
    assert guest.get("/projects/private/trash").status_code == 403


def test_names_of_people_are_for_members(signed_in: SignedIn, site: Site, browser: Browser) -> None:
    push_image(site, "v1")
    Project.objects.filter(name="private").update(is_public=True)
    assert "somebody" in signed_in("guest").text(REPOSITORY)
    page = browser.text(REPOSITORY)
    assert "somebody" not in page
    assert "history" not in page
    assert browser.get(f"{REPOSITORY}history?tag=v1").status_code == 302


def test_search_finds_only_what_may_be_seen(signed_in: SignedIn, site: Site, browser: Browser) -> None:
    digest = push_image(site, "release-7")
    owner = signed_in("owner")
    for text in ("team/a", "release", digest[:20], digest.removeprefix("sha256:")[:9], digest):
        assert "private/team/app" in owner.text(f"/search?q={text}"), text
        for other in (signed_in("stranger"), browser):
            assert "team/app" not in other.text(f"/search?q={text}").replace(f"“{text}”", "").replace(f'"{text}"', "")
    image_name = "testserver/private/team/app:release-7"
    there = "/projects/private/repos/team/app/-/a/release-7/"
    for text in (image_name, f"docker pull {image_name}", "private/team/app:release-7", f"docker://{image_name}"):
        assert owner.get("/search").status_code == 200
        assert owner.client.get("/search", {"q": text})["Location"] == there, text
    assert browser.client.get("/search", {"q": image_name}).status_code == 200
    assert owner.client.get("/search", {"q": f"testserver/private/team/app@{digest}"})["Location"].endswith(
        f"/a/{digest}/"
    )
    for odd in ("%00", "'", "sha256:" + "f" * 300, "\\", "a" * 400, "sha512:" + "0" * 20, "İ:ß", "x/y:z@w"):
        assert owner.client.get("/search", {"q": odd}).status_code == 200, odd


def test_an_images_name_is_an_address(signed_in: SignedIn, site: Site, browser: Browser) -> None:
    digest = push_image(site, "v1")
    for who in (signed_in("owner"), browser):  # the same answer, whether there is such an image or not
        assert who.get("/private/team/app:v1")["Location"] == f"{REPOSITORY}a/v1/"
        assert who.get(f"/private/team/app@{digest}")["Location"] == f"{REPOSITORY}a/{digest}/"
        assert who.get("/no/such:thing")["Location"] == "/projects/no/repos/such/-/a/thing/"
    assert (
        signed_in("owner").get(f"/harbor/projects/{site.project_of()}/repositories/team%252Fapp")["Location"]
        == REPOSITORY
    )


def test_the_list_of_repositories(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1", "v2")
    today = timezone.now()
    for days, pulls in ((0, 5), (3, 2), (40, 100)):
        PullDaily.objects.create(
            repository_id=site.repository, manifest_digest=digest, tag_name="v1", day=(today - timedelta(days)).date(),
            pulls=pulls, last_pulled_at=today,
        )  # fmt: skip
    browser = signed_in("owner")
    page = browser.text("/projects/private/")
    assert '<b class="number">7</b>' in page
    assert "brand-docker" in page
    assert f'href="{REPOSITORY}"' in page
    tree = browser.text("/projects/private/?view=tree")
    assert "<summary>" in tree
    assert f'href="{REPOSITORY}"' in tree
    assert "Nothing matches" in browser.text("/projects/private/?q=zzz")


def test_an_empty_project_waits_for_its_first_push(signed_in: SignedIn, site: Site, users: dict[str, int]) -> None:
    create_project(name="fresh", owner_id=users["owner"])
    browser = signed_in("owner")
    page = browser.text("/projects/fresh/")
    for command in (
        "docker push testserver/fresh/my-image:latest",
        "podman push --tls-verify=false my-image:latest testserver/fresh/my-image:latest",
        "nerdctl --insecure-registry push testserver/fresh/my-image:latest",
        "ctr images push --plain-http --user owner testserver/fresh/my-image:latest",
        "helm push --plain-http my-chart-0.1.0.tgz oci://testserver/fresh",
        "oras push --plain-http testserver/fresh/my-files:latest my-file.txt",
    ):
        assert command in page, command
    assert browser.get("/projects/fresh/", **{"hx-request": "true"}).status_code == 204
    repository = get_or_create_repository(Project.objects.get(name="fresh").pk, "one")
    site.put(image(site.upload(b"{}", repository)), "t", repository=repository)
    part = browser.get("/projects/fresh/", **{"hx-request": "true"})
    assert part.status_code == 200
    assert b"/projects/fresh/repos/one/-/" in part.content
    assert b"<html" not in part.content
    ProjectMember.objects.create(project=Project.objects.get(name="fresh"), user_id=users["guest"], role=Role.GUEST)
    assert "docker push" not in signed_in("guest").text("/projects/fresh/")


def test_tags(signed_in: SignedIn, site: Site) -> None:
    shared = push_image(site, "v1.9", "latest")
    push_image(site, "v1.10", author="x")
    site.put(image(site.upload(b"s"), nonce=5), f"sha256-{shared[7:]}.sig")
    bare = push_image(site, author="none")
    browser = signed_in("owner")
    page = browser.text(REPOSITORY)
    assert page.count('class="lane lane-1"') == 2
    assert "sha256-" not in page
    assert "docker pull testserver/private/team/app:v1.9" in page
    assert "linux/amd64" in page
    assert "sha256-" in browser.text(f"{REPOSITORY}?side=1")
    untagged = browser.text(f"{REPOSITORY}?show=untagged")
    assert bare in untagged
    assert shared not in untagged
    assert browser.post("/-/preferences", client="podman", next=REPOSITORY)["Location"] == REPOSITORY
    assert "podman pull --tls-verify=false testserver/private/team/app:v1.9" in browser.text(REPOSITORY)
    browser.post("/-/preferences", client='"><script>', next=REPOSITORY)
    assert "podman pull" in browser.text(REPOSITORY)


def test_immutable_tags_say_why(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1", "w1")
    create_rule(
        project_id=site.project_of(), repository=Selector("doublestar", "repoMatches", "**"),
        tag=Selector("doublestar", "matches", "v*"),
    )  # fmt: skip
    browser = signed_in("owner")
    page = browser.text(REPOSITORY)
    assert "A rule of the project makes this tag immutable" in page
    assert 'name="tag" value="v1"' not in page
    assert 'name="tag" value="w1"' in page
    question = browser.text(f"{REPOSITORY}delete-tags?tag=v1&tag=w1")
    assert "Immutable, so they stay:" in question
    assert 'value="artifacts" disabled' in question
    answer = browser.post(f"{REPOSITORY}delete-tags", tag=["v1", "w1"], confirm=1, what="artifacts")
    assert answer.status_code == 303
    assert set(Tag.objects.values_list("name", flat=True)) == {"v1", "w1"}
    browser.post(f"{REPOSITORY}delete-tags", tag=["v1", "w1"], confirm=1, what="tags")
    assert set(Tag.objects.values_list("name", flat=True)) == {"v1"}
    assert "immutable" in browser.text(REPOSITORY)
    assert browser.post("/projects/private/repos/team/app/-/delete").status_code == 303
    assert "has immutable tags" in browser.text(REPOSITORY)
    assert browser.post(f"{REPOSITORY}a/v1/delete").status_code == 303
    assert Tag.objects.filter(name="v1").exists()
    moved = browser.post(f"{REPOSITORY}tag", name="v1", to="v1", move="on")
    assert moved.status_code == 422
    assert "makes this tag immutable" in moved.content.decode()


def test_an_artifact(signed_in: SignedIn, site: Site) -> None:
    first = push_image(site, "v1")
    push_image(site, "v2", layers=(b"base", b"other"))
    multi = push_index(site, "multi", children=(first,))
    browser = signed_in("owner")
    page = browser.text(f"{REPOSITORY}a/v1/")
    for text in ("linux/amd64", "/run", "team", "shop", first, "docker pull testserver/private/team/app:v1"):
        assert text in page, text
    part = browser.get(f"{REPOSITORY}a/v1/layers", **{"hx-request": "true"}).content.decode()
    assert "<html" not in part
    assert "<b>ADD</b> file:1 in /" in part
    assert "<b>RUN</b> make all" in part
    assert '<tr class="quiet"><td></td><td colspan="4"><span class="step"><b>ENV</b> A=1' in part
    assert "2 artifacts of the project have this layer" in part
    assert "only here" in part
    activity = browser.get(f"{REPOSITORY}a/v1/activity", **{"hx-request": "true"}).content.decode()
    assert "Where v1 has pointed" in activity
    assert "<html" not in activity
    used = browser.text(f"{REPOSITORY}a/v1/used-by?blob=" + re.findall(r"\?blob=(sha256[^\"]+)\"", part)[0])
    assert "v2" in used
    index = browser.text(f"{REPOSITORY}a/multi/")
    assert f"/a/{first}/layers" in index
    assert multi in index
    manifest = browser.text(f"{REPOSITORY}a/v1/manifest")
    assert "&quot;schemaVersion&quot;: 2" in manifest
    assert "&quot;architecture&quot;: &quot;amd64&quot;" in manifest
    assert browser.get(f"{REPOSITORY}a/nothing/").status_code == 404
    assert browser.get(f"{REPOSITORY}a/sha256:{'0' * 64}/").status_code == 404
    assert browser.get("/projects/private/repos/nothing/-/").status_code == 404


def test_insights(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1", "v2")
    other = get_or_create_repository(site.project_of(), "copy")
    blob = site.upload(b"base", other)
    site.put(image(blob, blob), "v1", repository=other)
    today = timezone.now().date()
    for days, pulls in ((0, 30), (45, 20)):
        PullDaily.objects.create(
            repository_id=site.repository, manifest_digest=digest, tag_name="v1", day=today - timedelta(days=days),
            pulls=pulls,
        )  # fmt: skip
    owner, guest = signed_in("owner"), signed_in("guest")
    part = owner.get("/projects/private/insights", **{"hx-request": "true"}).content.decode()
    assert "<html" not in part
    assert '<span class="value number">30</span>' in part
    assert "50 %</b> against the 30 days before" in part
    assert '<span class="value number">3</span><span class="foot">in 2 repositories</span>' in part
    assert "saved by sharing" in part
    assert "Nothing was deleted lately" in part
    assert "Nothing was deleted lately" not in guest.text("/projects/private/insights")
    page = owner.text("/projects/private/insights")
    assert re.findall(r"Most pulled.*?>(team/app)</a><span class=\"number\">(\d+)", page, re.DOTALL) == [
        ("team/app", "30")
    ]
    assert "Shared with other projects" in page


def test_tags_say_what_is_attached(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1")
    browser = signed_in("owner")
    assert "A signature is attached" not in browser.text(REPOSITORY)
    subject = descriptor("application/vnd.oci.image.manifest.v1+json", digest)
    signature = "application/vnd.dev.cosign.artifact.sig.v1+json"
    site.put(image(site.upload(b"{}"), subject=subject, artifactType=signature))
    page = browser.text(REPOSITORY)
    assert page.count("A signature is attached</span>") == 1
    assert "An SBOM is attached" not in page


def test_search_finds_who_has_a_layer(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1")
    layer = digest_of(b"base")
    assert "private/team/app" in signed_in("owner").text(f"/search?q={layer}")
    assert "Artifacts with this layer" not in signed_in("stranger").text(f"/search?q={layer}")
    assert "Artifacts with this layer" not in signed_in("owner").text(f"/search?q={digest_of(b'nothing')}")


def test_a_refusal_says_where_to_go_on(signed_in: SignedIn, site: Site) -> None:
    """Who may help, for members; the history and the trash of what is gone, for who may see them. Nothing for strangers."""
    push_image(site, "v1")
    owner, guest, stranger = signed_in("owner"), signed_in("guest"), signed_in("stranger")
    assert owner.post(f"{REPOSITORY}delete-tags", tag="v1", confirm="1").status_code == 303
    gone = owner.get(f"{REPOSITORY}a/v1/")
    assert gone.status_code == 404
    for address in (REPOSITORY, f"{REPOSITORY}history?tag=v1", "/projects/private/trash"):
        assert f'href="{address}"' in gone.content.decode(), address
    theirs = guest.get(f"{REPOSITORY}a/v1/").content.decode()
    assert f'href="{REPOSITORY}history?tag=v1"' in theirs
    assert "/projects/private/trash" not in theirs
    missing = owner.get("/projects/private/repos/nothing/-/").content.decode()
    assert 'class="button primary" href="/projects/private/"' in missing
    refused = guest.get("/projects/private/settings")
    assert refused.status_code == 403
    assert "These can give you another one: owner" in refused.content.decode()
    for path in ("/projects/private/settings", f"{REPOSITORY}a/v1/"):
        answer = stranger.get(path)
        assert answer.status_code == 403
        assert b"another one" not in answer.content
        assert b"history" not in answer.content


def test_a_rule_says_what_it_would_mean(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1", "v2", "edge")
    browser = signed_in("owner")
    query = "repositories=repoMatches&repository_pattern=team/**&tags=matches&tag_pattern="
    path = "/projects/private/immutability/-/new?" + query
    part = browser.get(f"{path}v*", **{"hx-request": "true"}).content.decode()
    assert "2 tags would be immutable now" in part
    assert "team/app:v1" in part
    assert "edge" not in part
    assert "<html" not in part
    assert "2 tags would be immutable now" in browser.text(f"{path}v*")
    assert "0 tags would be immutable now" in browser.text(f"{path}x*")
    assert "would be immutable now" not in browser.text(f"{path}[")
    assert "would be immutable now" not in browser.text(path)
    assert signed_in("guest").get(f"{path}v*").status_code == 403
    assert browser.queries(f"{path}v*") <= MOST_QUERIES


def test_a_part_of_a_page_is_answered_by_a_part(signed_in: SignedIn, site: Site, browser: Browser) -> None:
    """A session that ends below an open page leads to signing in and back; what fails is said where it would stand."""
    push_image(site, "v1")
    part = {"hx-request": "true", "hx-current-url": "http://testserver/projects/private/?q=a"}
    over = browser.get("/projects/private/", **part)
    assert (over.status_code, over["HX-Redirect"]) == (401, "/sign-in?next=%2Fprojects%2Fprivate%2F%3Fq%3Da")
    missing = signed_in("owner").get(f"{REPOSITORY}a/nothing/layers", **part)
    assert missing.status_code == 404
    assert b"<html" not in missing.content
    assert b"It does not exist any more." in missing.content
