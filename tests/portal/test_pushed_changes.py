"""Changing what was pushed: deleting, undoing, tagging, copying, labelling, going back; and what a refusal leaves alone."""

import json
import re
from collections.abc import Callable

import pytest

from haven_core.events.models import OutboxEvent
from haven_core.labels.services import create_label
from haven_registry.models import ArtifactLabel, Manifest, Repository, Tag, TagHistory
from haven_registry.services.repositories import get_or_create_repository
from tests.portal.conftest import MOST_QUERIES, Browser
from tests.portal.pushed import REPOSITORY, push_image
from tests.support.artifacts import attached_sbom, buildkit_index
from tests.support.site import Site

pytestmark = pytest.mark.usefixtures("transactional_db")
SignedIn = Callable[..., Browser]
TRASH = "/projects/private/trash"


def state() -> list[object]:
    return [
        list(model._default_manager.order_by("id").values_list())
        for model in (Manifest, Tag, TagHistory, Repository, ArtifactLabel)
    ]


def tags() -> dict[str, str]:
    return dict(Tag.objects.values_list("name", "manifest__digest"))


def undo_of(page: str) -> str:
    return re.findall(rf'action="({TRASH}/restore\?[^"]+)"', page)[0].replace("&amp;", "&")


def test_tags_are_deleted_and_undone(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1", "v2", "stable")
    push_image(site, "v3", author="x")
    browser = signed_in("owner")
    before = state()
    question = browser.post(f"{REPOSITORY}delete-tags", tag=["v1", "v3"]).content.decode()
    assert "Delete 2 tags?" in question
    assert "The same artifact is also tagged:" in question
    assert '<span class="tag">stable</span>' in question
    assert state() == before
    was = tags()
    answer = browser.post(f"{REPOSITORY}delete-tags", tag=["v1", "v3"], confirm=1, what="tags")
    assert tags() == {"v2": digest, "stable": digest}
    page = browser.text(answer["Location"])
    assert "2 tags deleted." in page
    assert browser.post(undo_of(page)).status_code == 303
    assert tags() == was


def test_artifacts_go_with_their_sisters_and_come_back(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1", "stable")
    browser = signed_in("owner")
    answer = browser.post(f"{REPOSITORY}delete-tags", tag="v1", confirm=1, what="artifacts")
    assert tags() == {}
    page = browser.text(answer["Location"])
    assert "1 artifact is in the trash." in page
    browser.post(undo_of(page))
    assert tags() == {"v1": digest, "stable": digest}
    untagged = push_image(site, author="none")
    browser.post(f"{REPOSITORY}delete-tags", digest=untagged, confirm=1)
    assert Manifest.objects.get(digest=untagged).deleted_at is not None
    browser.post(f"{REPOSITORY}a/v1/delete")
    assert tags() == {}
    assert "digest" not in browser.text(REPOSITORY).partition("toasts")[2]


def test_a_repository_goes_and_its_name_is_taken(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1")
    browser = signed_in("owner")
    answer = browser.post("/projects/private/repos/team/app/-/delete")
    assert answer["Location"] == "/projects/private/"
    assert not Repository.objects.filter(deleted_at=None, name="team/app").exists()
    undo = undo_of(browser.text("/projects/private/"))
    get_or_create_repository(site.project_of(), "team/app")
    taken = browser.post(undo)
    assert taken.status_code == 409
    assert "Something else has the name by now." in taken.content.decode()
    key = undo.partition("item=")[2]
    odd = browser.post(f"{TRASH}/restore", item=key, name="Not A Name")
    assert odd.status_code == 422
    done = browser.post(f"{TRASH}/restore", item=key, name="team/old")
    assert done["Location"] == "/projects/private/repos/team/old/-/"
    assert Repository.objects.filter(deleted_at=None, name="team/old").exists()


def test_a_taken_tag_is_kept_or_overwritten(signed_in: SignedIn, site: Site) -> None:
    old = push_image(site, "v1")
    browser = signed_in("owner")
    browser.post(f"{REPOSITORY}delete-tags", tag="v1", confirm=1, what="tags")
    undo = undo_of(browser.text(REPOSITORY))
    new = push_image(site, "v1", author="x")
    assert browser.post(undo).status_code == 409
    assert tags() == {"v1": new}
    key = undo.partition("item=")[2]
    assert browser.post(f"{TRASH}/restore", item=key, taken="refuse", name="").status_code == 422
    assert browser.post(f"{TRASH}/restore", item=key, taken="refuse", name="-").status_code == 422
    assert tags() == {"v1": new}
    browser.post(f"{TRASH}/restore", item=key, taken="overwrite", name="")
    assert tags() == {"v1": old}


def test_deleting_for_good_takes_the_typed_name(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1")
    browser = signed_in("owner")
    browser.post(f"{REPOSITORY}a/v1/delete")
    page = browser.text(TRASH)
    assert "7 days" in page
    path = re.findall(rf'href="({TRASH}/artifact-\d+/purge)"', page)[0]
    assert digest[7:19] in browser.text(path)
    before = state()
    wrong = browser.post(path, typed="v1")
    assert wrong.status_code == 422
    assert state() == before
    assert browser.post(path, typed=digest[7:19]).status_code == 303
    assert not Manifest.objects.exists()
    assert "The trash is empty" in browser.text(TRASH)
    assert browser.post(path, typed=digest[7:19]).status_code == 404


def test_tags_are_added_and_moved(signed_in: SignedIn, site: Site) -> None:
    first, second = push_image(site, "v1"), push_image(site, "v2", author="x")
    browser = signed_in("owner")
    assert browser.post(f"{REPOSITORY}tag", name="stable", to=first).status_code == 303
    assert tags()["stable"] == first
    before = state()
    for sent, message in (
        ({"name": "-", "to": first}, "This can&#x27;t be a tag."),
        ({"name": "x", "to": "nothing"}, "There is no such artifact in this repository."),
        ({"name": "stable", "to": "v2"}, "This tag exists."),
        ({"name": "", "to": ""}, "This field is required."),
    ):
        answer = browser.post(f"{REPOSITORY}tag", **sent)
        assert answer.status_code == 422
        assert message in answer.content.decode()
    assert state() == before
    browser.post(f"{REPOSITORY}tag", name="stable", to="v2", move="on")
    assert tags()["stable"] == second


def test_going_back(signed_in: SignedIn, site: Site) -> None:
    first, second = push_image(site, "v1"), push_image(site, "v1", author="x")
    browser = signed_in("owner")
    page = browser.text(f"{REPOSITORY}history?tag=v1")
    assert "Go back to this" in page
    back = f"{REPOSITORY}history/roll-back"
    before = state()
    browser.post(back, tag="v1", digest=first, expected=first)
    browser.post(back, tag="v1", digest="sha256:" + "0" * 64)
    browser.post(back, tag="v1", digest="nonsense")
    assert state() == before
    assert browser.post(back, tag="v1", digest=first, expected=second).status_code == 303
    assert tags() == {"v1": first}
    assert "rolled back" in browser.text(f"{REPOSITORY}history?tag=v1")
    assert "No tag nothing is or was here." in browser.text(f"{REPOSITORY}history?tag=nothing")


def test_two_artifacts_are_compared(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1")
    push_image(site, "v2", layers=(b"base", b"new"), config={"Env": ["A=2", "B=1"], "Labels": {"team": "shop"}})
    page = signed_in("owner").text(f"{REPOSITORY}compare?a=v1&b=v2")
    for state_class, number in (("is-same", 1), ("is-added", 2), ("is-removed", 1 + 1), ("is-changed", 2)):
        assert page.count(f'class="{state_class}"') == number, state_class
    assert "There is no nothing here." in signed_in("owner").text(f"{REPOSITORY}compare?a=v1&b=nothing")


def test_labels(signed_in: SignedIn, site: Site, projects: dict[str, int]) -> None:
    push_image(site, "v1")
    mine = create_label(project_id=projects["private"], name="release")
    other = create_label(project_id=projects["public"], name="elsewhere")
    browser = signed_in("owner")
    page = browser.text(f"{REPOSITORY}a/v1/labels")
    assert "release" in page
    assert "elsewhere" not in page
    assert browser.post(f"{REPOSITORY}a/v1/labels", label=other).status_code == 404
    assert browser.post(f"{REPOSITORY}a/v1/labels", label="x").status_code == 404
    assert not ArtifactLabel.objects.exists()
    browser.post(f"{REPOSITORY}a/v1/labels", label=mine)
    browser.post(f"{REPOSITORY}a/v1/labels", label=mine)
    assert "It has this label already." in browser.text(f"{REPOSITORY}a/v1/")
    assert ArtifactLabel.objects.count() == 1
    browser.post(f"{REPOSITORY}a/v1/labels/remove", label=mine)
    assert not ArtifactLabel.objects.exists()


def test_copying(signed_in: SignedIn, site: Site) -> None:
    digest = push_image(site, "v1", "v2")
    browser = signed_in("owner")
    copy = f"{REPOSITORY}a/v1/copy"
    assert browser.post(copy, project="public", repository="new/app")["Location"] == "/projects/public/repos/new/app/-/"
    assert Tag.objects.filter(repository__full_name="public/new/app", manifest__digest=digest).count() == 2
    before = state()
    assert browser.post(copy, project="nothing", repository="app").status_code == 422
    assert browser.post(copy, project="public", repository="Not A Name").status_code == 422
    guest = signed_in("guest")
    refused = guest.post(copy, project="private", repository="other")
    assert refused.status_code == 422
    assert "you may not push there" in refused.content.decode()
    assert state() == before


def test_a_description(signed_in: SignedIn, site: Site) -> None:
    browser = signed_in("owner")
    browser.post(f"{REPOSITORY}about", description="What it is\nfor")
    assert "What it is" in browser.text(f"{REPOSITORY}about")
    told = OutboxEvent.objects.filter(topic="repository.described").values_list("payload", flat=True)
    assert [(one["name"], one["by"]) for one in told] == [("private/team/app", "owner")]
    assert signed_in("guest").post(f"{REPOSITORY}about", description="mine").status_code == 403
    assert Repository.objects.get(id=site.repository).description == "What it is\nfor"


@pytest.mark.parametrize("who", ["guest", "stranger", ""])
def test_who_may_not_changes_nothing(signed_in: SignedIn, site: Site, browser: Browser, who: str) -> None:
    digest = push_image(site, "v1")
    owner = signed_in("owner")
    push_image(site, "gone", author="gone")
    owner.post(f"{REPOSITORY}a/gone/delete")
    trashed = Manifest.objects.get(deleted_at__isnull=False).pk
    caller = signed_in(who) if who else browser
    before = state()
    told = OutboxEvent.objects.count()
    sent: dict[str, dict[str, object]] = {
        f"{REPOSITORY}delete": {},
        f"{REPOSITORY}delete-tags": {"tag": "v1", "confirm": 1, "what": "tags"},
        f"{REPOSITORY}tag": {"name": "x", "to": "v1"},
        f"{REPOSITORY}about": {"description": "x"},
        f"{REPOSITORY}history/roll-back": {"tag": "v1", "digest": digest},
        f"{REPOSITORY}a/v1/delete": {},
        f"{REPOSITORY}a/v1/labels": {"label": 1},
        f"{REPOSITORY}a/v1/labels/remove": {"label": 1},
        f"{TRASH}/restore": {"item": f"artifact-{trashed}"},
        f"{TRASH}/artifact-{trashed}/purge": {"typed": "x"},
    }
    for path, fields in sent.items():
        assert caller.post(path, **fields).status_code in (302, 403), path
        assert caller.get(path).status_code in (200, 302, 403, 405), path
    assert state() == before
    assert OutboxEvent.objects.count() == told


def test_trash_of_another_project_is_not_reached(signed_in: SignedIn, site: Site) -> None:
    push_image(site, "v1")
    browser = signed_in("owner")
    browser.post(f"{REPOSITORY}a/v1/delete")
    trashed = Manifest.objects.get().pk
    before = state()
    assert browser.post("/projects/public/trash/restore", item=f"artifact-{trashed}").status_code == 303
    assert browser.get(f"/projects/public/trash/artifact-{trashed}/purge").status_code == 404
    for key in ("x", "artifact-", "artifact-0", "user-1", "artifact-9" * 40):
        assert browser.post(f"{TRASH}/restore", item=key).status_code == 303
    assert state() == before


def test_packages_are_compared_by_their_sboms(signed_in: SignedIn, site: Site) -> None:
    """Text of strangers, as all of it."""
    first, second = push_image(site, "v1"), push_image(site, "v2", layers=(b"base", b"new"))
    owner = signed_in("owner")
    assert "Packages" not in owner.text(f"{REPOSITORY}compare?a=v1&b=v2")
    attach_sbom(site, first, {"<b>bash</b>": "5.1", "gone": "1", "same": "1"})
    assert "No SBOM is attached to v2." in owner.text(f"{REPOSITORY}compare?a=v1&b=v2")
    attach_sbom(site, second, {"<b>bash</b>": "5.2", "same": "1"})
    page = owner.text(f"{REPOSITORY}compare?a=v1&b=v2")
    for text in ("Packages", "&lt;b&gt;bash&lt;/b&gt;", ">5.1<", ">5.2<", "1 the same"):
        assert text in page, text
    assert "<b>bash" not in page
    site.put(buildkit_index(first, second), "multi")
    assert "1 the same" in owner.text(f"{REPOSITORY}compare?a=v2&b=multi")
    for names in ("a=v1&b=v2", "a=v2&b=multi"):
        assert owner.queries(f"{REPOSITORY}compare?{names}") <= MOST_QUERIES, names


def attach_sbom(site: Site, of: str, versions: dict[str, str]) -> None:
    components = [{"name": name, "version": version} for name, version in versions.items()]
    document = json.dumps({"bomFormat": "CycloneDX", "components": components}).encode()
    sbom = attached_sbom(of, "application/vnd.cyclonedx+json", document)
    for blob in sbom.blobs:
        site.upload(blob)
    site.put(sbom.payload)
