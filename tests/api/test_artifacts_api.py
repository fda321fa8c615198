"""Repositories and artifacts over the REST API, judged by Harbor's contract."""

from datetime import UTC, date, datetime

from django.db import connection
from django.test.utils import CaptureQueriesContext

from haven_core.audit.models import AuditLog
from haven_registry.models import Manifest, PullDaily, Repository
from haven_registry.oci import media_types
from tests.api.artifacts import APP, digests, push
from tests.api.conftest import Call
from tests.api.settings.support import audit_log
from tests.support.documents import descriptor, digest_of, image, index
from tests.support.site import Site, seen_repository


def test_repositories_are_listed_described_and_deleted(api: Call, site: Site) -> None:
    push(site, "v1")
    seen_repository(site.first, "hidden")
    rows = api("GET", "/projects/private/repositories", user="owner").json()
    assert [(row["name"], row["artifact_count"], row["description"]) for row in rows] == [("private/team/app", 1, "")]
    assert api("GET", "/repositories", user="owner").headers["X-Total-Count"] == "1"
    assert api("GET", "/repositories").json() == []
    assert api("PUT", APP, {"description": "ours", "name": "x"}, user="owner").status_code == 200
    assert api("GET", APP, user="guest").json()["description"] == "ours"
    for user, status in (("", 401), ("stranger", 403), ("guest", 403)):
        assert api("DELETE", APP, user=user).status_code == status
    assert api("DELETE", APP, user="owner").status_code == 200
    assert api("GET", APP, user="owner").status_code == 404


def test_a_description_is_in_the_audit_log(api: Call, site: Site, projects: dict[str, int]) -> None:
    push(site, "v1")
    audit_log()
    AuditLog.objects.all().delete()
    assert api("PUT", APP, {"description": "canary-4711"}, user="owner").status_code == 200
    assert api("PUT", APP, {"description": "mine"}, user="guest").status_code == 403
    told = audit_log()
    assert [(one.username, one.operation, one.resource_type, one.is_success) for one in told] == [
        ("owner", "update", "repository", True), ("guest", "update", "repository", False),
    ]  # fmt: skip
    assert (told[0].resource, told[0].project_id) == ("private/team/app", projects["private"])
    assert "canary" not in str([vars(one) for one in told]), "what was written is in the repository"


def test_an_artifact_says_what_it_is(api: Call, site: Site) -> None:
    digest = push(site, "v1", "v2")
    by_tag = api("GET", f"{APP}/artifacts/v1", user="guest").json()
    assert by_tag == api("GET", f"{APP}/artifacts/{digest}", user="guest").json()
    assert (by_tag["type"], by_tag["repository_name"], by_tag["digest"]) == ("IMAGE", "private/team/app", digest)
    assert by_tag["extra_attrs"]["config"]["Labels"] == {"x": "<script>"}
    assert {tag["name"] for tag in by_tag["tags"]} == {"v1", "v2"}
    assert by_tag["size"] == Manifest.objects.get().payload_size + Manifest.objects.get().total_size
    assert "tags" not in api("GET", f"{APP}/artifacts/v1?with_tag=false", user="guest").json()
    for reference in ("v3", "sha256:abc", digest_of(b"no")):
        assert api("GET", f"{APP}/artifacts/{reference}", user="guest").status_code == 404
    assert api("GET", f"{APP}/artifacts/v1", user="stranger").status_code == 403


def test_an_index_shows_its_children_and_hides_them_in_the_list(api: Call, site: Site) -> None:
    child = push(site)
    root = site.put(index(child), "multi").digest
    loose = push(site, author="loose")
    assert digests(api("GET", f"{APP}/artifacts", user="guest")) == {root, loose}
    assert digests(api("GET", f"{APP}/artifacts?q=base=*", user="guest")) == {root, loose, child}
    found = api("GET", f"{APP}/artifacts/multi", user="guest").json()
    assert [each["child_digest"] for each in found["references"]] == [child]
    assert found["size"] > api("GET", f"{APP}/artifacts/{child}", user="guest").json()["size"]


def test_filters(api: Call, site: Site) -> None:
    one, two = push(site, "v1", "latest", author="1"), push(site, "v2", author="2")
    bare = push(site, author="3")
    config = descriptor("application/vnd.acme.rocket.config", site.upload(b"rocket"))
    rocket = site.put(image(digest_of(b"rocket"), config=config), "rocket").digest
    plain = site.put(image(digest_of(b"rocket"), config=config | {"mediaType": "text/plain"}), "plain").digest
    for q, expected in {
        "tags=v1": {one}, "tags=~V": {one, two}, "tags=*": {one, two, rocket, plain}, "tags=nil": {bare},
        "tags={v2 latest}": {one, two}, "tags=(v1 latest)": {one}, "tags=(v1 v2)": set(),
        "type=IMAGE": {one, two, bare}, "type=rocket": {rocket}, "type=UNKNOWN": {plain}, "type=CHART": set(),
        "type={IMAGE ROCKET}": {one, two, bare, rocket}, "type=~ocke": {rocket}, "type=~%25": set(), "type=~%00": set(),
        f"digest={two}": {two}, "digest=x": set(),
        "media_type=text/plain": {plain}, "push_time=[2100-01-01~]": set(), "nothing=known": {one, two, bare, rocket, plain},
    }.items():  # fmt: skip
        response = api("GET", f"{APP}/artifacts?q={q}", user="guest")
        assert digests(response) == expected, q
        assert response.headers["X-Total-Count"] == str(len(expected))
    assert api("GET", f"{APP}/artifacts?q=type=[a~b]", user="guest").status_code == 400
    assert api("GET", f"{APP}/artifacts?with_tag=x", user="guest").status_code == 422


def test_what_is_added_up_of_other_rows(api: Call, site: Site) -> None:
    """Sizes with children, the last pull: as they are shown, so they are filtered and sorted by."""
    small = push(site, "small")
    pulled = site.put(image(site.upload(b"{}"), annotations={"long": "x" * 500}), "pulled", "again").digest
    both = site.put(index(small, pulled), "both").digest
    row = {"repository_id": site.repository, "manifest_digest": pulled, "day": date(2024, 5, 1), "pulls": 1}
    for tag, day in (("pulled", 1), ("again", 2)):
        PullDaily.objects.create(**row, tag_name=tag, last_pulled_at=datetime(2024, 5, day, tzinfo=UTC))
    sizes = {each["digest"]: each["size"] for each in api("GET", f"{APP}/artifacts", user="guest").json()}
    assert sizes[both] > sizes[pulled] > sizes[small]
    for q, expected in {
        f"size={sizes[both]}": {both}, f"size=[{sizes[small]}~{sizes[pulled]}]": {small, pulled},
        "pull_time=[2024-05-01~2024-05-03]": {pulled}, "pull_time=[~2024-05-01]": {small, both},
        "pull_time=[2024-05-03~]": set(), "repository_name=private/team/app": {small, pulled, both},
        "repository_name=~nothing": set(), f"repository_id={site.repository}": {small, pulled, both}, "project_id=0": set(),
    }.items():  # fmt: skip
        response = api("GET", f"{APP}/artifacts?q={q}", user="guest")
        assert digests(response) == expected, q
        assert response.headers["X-Total-Count"] == str(len(expected))
    for sort, ordered in (("size", [small, pulled, both]), ("-size", [both, pulled, small]),
                          ("-pull_time,size", [pulled, small, both]), ("pull_time,-size", [both, small, pulled]),
                          ("type,repository_name,media_type,-size", [pulled, small, both])):  # fmt: skip
        rows = api("GET", f"{APP}/artifacts?sort={sort}", user="guest").json()
        assert [each["digest"] for each in rows] == ordered, sort
    wanted = "media_type=application/vnd.oci.image.config.v1%252Bjson,size=[1~]"
    rows = api("GET", f"/projects/private/artifacts?latest_in_repository=true&sort=-size&q={wanted}", user="guest")
    assert digests(rows) == {pulled}
    for query, names in (("sort=pull_time", ["pulled", "again"]), ("q=pull_time=[2024-05-02~]", ["again"])):
        tags = api("GET", f"{APP}/artifacts/pulled/tags?{query}", user="guest").json()
        assert [tag["name"] for tag in tags] == names


def test_accessories_belong_to_their_subject(api: Call, site: Site) -> None:
    subject = push(site, "v1")
    empty = site.upload(b"{}")
    named = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1}
    signature = site.put(image(empty, artifactType="application/vnd.cncf.notary.signature", subject=named)).digest
    signed = image(empty, nonce=2, layers=[descriptor(media_types.COSIGN_SIGNATURE, empty)])
    cosign = site.put(signed, subject.replace(":", "-") + ".sig").digest
    [row] = api("GET", f"{APP}/artifacts", user="guest").json()
    assert row["digest"] == subject
    assert {each["digest"]: each["type"] for each in row["accessories"]} == {
        signature: "signature.notation", cosign: "signature.cosign",
    }  # fmt: skip


def test_the_list_takes_as_many_statements_for_many(api: Call, site: Site) -> None:
    push(site, "t0")
    counts = []
    everything = "page_size=100&with_label=true&with_inherited_accessory=true"
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            assert api("GET", f"{APP}/artifacts?{everything}", user="owner").status_code == 200
        counts.append(len(captured))
        api("GET", f"{APP}/artifacts?{everything}", user="owner")
        for number in range(12):
            site.put(index(push(site, author=str(number)), nonce=number), f"t{number + 1}", f"u{number}")
    assert counts[1] <= counts[0]
    assert Repository.objects.count() == 2
