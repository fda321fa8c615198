"""Tags, additions, accessories, layers, delete and copy over the REST API, judged by Harbor's contract."""

import io
import json
import tarfile

import pytest

from haven_core.labels.services import create_label, delete_label
from haven_registry.models import Manifest, TagHistory
from haven_registry.oci import media_types
from tests.api.artifacts import APP, CONFIG, digests, push
from tests.api.conftest import Call
from tests.support.documents import descriptor, image, index
from tests.support.site import Site


def tags_of(api: Call, reference: str) -> list[str]:
    response = api("GET", f"{APP}/artifacts/{reference}/tags", user="guest")
    assert response.headers["X-Total-Count"] == str(len(response.json()))
    return [tag["name"] for tag in response.json()]


def sign(site: Site, subject: str) -> tuple[str, str]:
    """A referrer and a signature by Cosign's tag."""
    empty = site.upload(b"{}")
    named = {"mediaType": media_types.OCI_MANIFEST, "digest": subject, "size": 1}
    referrer = site.put(image(empty, artifactType=media_types.NOTATION_SIGNATURE, subject=named)).digest
    signed = image(empty, nonce=subject, layers=[descriptor(media_types.COSIGN_SIGNATURE, empty)])
    return referrer, site.put(signed, subject.replace(":", "-") + ".sig").digest


def test_tags_are_created_listed_and_deleted(api: Call, site: Site) -> None:
    digest, other = push(site, "v1"), push(site, "other", author="x")
    tags = f"{APP}/artifacts/v1/tags"
    assert api("POST", tags, {"name": "v2"}, user="owner").status_code == 201
    assert tags_of(api, digest) == ["v2", "v1"]
    for body, status in (
        ({"name": "other"}, 409), ({"name": "v1"}, 409), ({"name": "-x"}, 400), ({"name": ""}, 400), ({}, 422),
        ({"name": 1}, 422),
    ):  # fmt: skip
        assert api("POST", tags, body, user="owner").status_code == status, body
    assert api("POST", tags, {"name": "v3"}, user="guest").status_code == 403
    assert api("DELETE", f"{tags}/other", user="owner").status_code == 404  # of another artifact
    assert api("DELETE", f"{tags}/v2", user="guest").status_code == 403
    assert tags_of(api, "v1") == ["v2", "v1"]
    assert tags_of(api, "other") == ["other"]
    assert api("DELETE", f"{tags}/v2", user="owner").status_code == 200
    assert tags_of(api, digest) == ["v1"]
    assert Manifest.objects.get(digest=other).deleted_at is None
    assert TagHistory.objects.get(reason=TagHistory.DELETED).name == "v2"


def test_build_history_and_layers(api: Call, site: Site) -> None:
    base, top = site.upload(b"base"), site.upload(b"top")
    steps = [{"created_by": "ADD <x>"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "RUN"}]
    config = site.upload(json.dumps(CONFIG | {"history": steps}).encode())
    site.put(image(config, base, top), "v1")
    site.put(image(config, base, nonce=1), "v2")
    response = api("GET", f"{APP}/artifacts/v1/additions/build_history", user="guest")
    assert json.loads(response.content) == steps
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    layers = api("GET", f"{APP}/artifacts/v1/layers", user="guest").json()
    assert [(each["digest"], each["command"], each["shared_by"]) for each in layers] == [
        (base, "ADD <x>", 2), (top, "RUN", 1),
    ]  # fmt: skip
    assert api("GET", f"{APP}/artifacts/v1/layers", user="stranger").status_code == 403
    assert api("GET", f"{APP}/artifacts/v1/additions/readme.md", user="guest").status_code == 400
    assert api("GET", f"{APP}/artifacts/v1/additions/x", user="guest").status_code == 422
    assert api("GET", f"{APP}/artifacts/no/additions/build_history", user="guest").status_code == 404


@pytest.fixture
def chart(site: Site) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("demo/README.md")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"# Hi"))
    archive = site.upload(packed.getvalue())
    config = site.upload(json.dumps({"name": "demo", "dependencies": [{"name": "db"}]}).encode())
    payload = image(
        config, config=descriptor(media_types.HELM_CONFIG, config), layers=[descriptor(media_types.HELM_CHART, archive)]
    )
    return site.put(payload, "1.0").digest


def test_a_chart_has_a_readme_and_dependencies(api: Call, site: Site, chart: str) -> None:
    shown = api("GET", f"{APP}/artifacts/{chart}", user="guest").json()
    assert (shown["type"], shown["extra_attrs"]["name"]) == ("CHART", "demo")
    assert set(shown["addition_links"]) == {"values.yaml", "readme.md", "dependencies"}
    readme = api("GET", f"{APP}/artifacts/1.0/additions/readme.md", user="guest")
    assert (readme.content, readme.headers["Content-Type"]) == (b"# Hi", "text/markdown; charset=utf-8")
    dependencies = api("GET", f"{APP}/artifacts/1.0/additions/dependencies", user="guest")
    assert json.loads(dependencies.content) == [{"name": "db", "version": "", "repository": ""}]
    assert api("GET", f"{APP}/artifacts/1.0/additions/values.yaml", user="guest").status_code == 404


def test_accessories_are_listed_and_deleted_with_their_subject(api: Call, site: Site) -> None:
    subject = push(site, "v1", "v2")
    signatures = set(sign(site, subject))
    path = f"{APP}/artifacts/v1/accessories"
    assert digests(api("GET", path, user="guest")) == signatures
    paged = api("GET", f"{path}?page_size=1&page=2", user="guest")
    assert (len(paged.json()), paged.headers["X-Total-Count"]) == (1, "2")
    assert api("DELETE", f"{APP}/artifacts/v1", user="guest").status_code == 403
    assert api("DELETE", f"{APP}/artifacts/v1", user="owner").status_code == 200
    assert not Manifest.objects.filter(deleted_at=None).exists()
    assert api("DELETE", f"{APP}/artifacts/v2", user="owner").status_code == 404


def test_a_child_is_not_deleted_below_its_index(api: Call, site: Site) -> None:
    child = push(site)
    site.put(index(child), "multi")
    assert api("DELETE", f"{APP}/artifacts/{child}", user="owner").status_code == 412
    assert not Manifest.objects.exclude(deleted_at=None).exists()
    assert api("DELETE", f"{APP}/artifacts/multi", user="owner").status_code == 200
    assert not Manifest.objects.filter(deleted_at=None).exists()


def test_a_copy_takes_tags_and_accessories_along(api: Call, site: Site) -> None:
    subject = push(site, "v1", "v2")
    referrer, cosign = sign(site, subject)
    target = "/projects/public/repositories/copy/artifacts"
    response = api("POST", f"{target}?from=private/team/app:v1", user="owner")
    assert response.status_code == 201
    assert response.headers["Location"] == "/api/v2.0/projects/public/repositories/copy/artifacts/v1"
    [row] = api("GET", target, user="owner").json()
    assert (row["digest"], {tag["name"] for tag in row["tags"]}) == (subject, {"v1", "v2"})
    assert {each["digest"] for each in row["accessories"]} == {referrer, cosign}
    assert row["extra_attrs"]["author"] == "me"
    for source, user, status in (
        ("private/team/app:v1", "", 401), ("private/team/app:v1", "stranger", 403), ("private/team/app:no", "owner", 404),
        ("private/none:v1", "owner", 404), ("nonsense", "owner", 400), (f"private/team/app@{referrer}", "owner", 403),
    ):  # fmt: skip
        assert api("POST", f"{target}?from={source}", user=user).status_code == status, source
    assert (
        api("POST", "/projects/public/repositories/UP/artifacts?from=private/team/app:v1", user="owner").status_code
        == 400
    )
    assert len(api("GET", target, user="owner").json()) == 1


def test_immutable_tags_say_so_and_stay(api: Call, site: Site) -> None:
    digest = push(site, "v1", "latest")
    selector = {"kind": "doublestar", "decoration": "matches", "pattern": "v*"}
    scope = {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "team/*"}]}
    rule = {"tag_selectors": [selector], "scope_selectors": scope}
    assert api("POST", "/projects/private/immutabletagrules", rule, user="owner").status_code == 201
    [artifact] = api("GET", f"{APP}/artifacts", user="guest").json()
    assert {tag["name"]: tag["immutable"] for tag in artifact["tags"]} == {"v1": True, "latest": False}
    for path in (f"{APP}/artifacts/v1/tags/v1", f"{APP}/artifacts/{digest}", APP):
        assert api("DELETE", path, user="owner").status_code == 412, path
    assert tags_of(api, digest) == ["v1", "latest"] or tags_of(api, digest) == ["latest", "v1"]
    assert api("DELETE", f"{APP}/artifacts/v1/tags/latest", user="owner").status_code == 200


def test_labels_are_put_on_artifacts(api: Call, site: Site) -> None:
    push(site, "v1")
    push(site, "v2", author="x")
    ours = create_label(project_id=site.project_of(), name="ours")
    everybodys, others = create_label(project_id=None, name="all"), create_label(project_id=site.first, name="theirs")
    path = f"{APP}/artifacts/v1/labels"
    for label_id, user, status in (
        (ours, "owner", 200), (everybodys, "owner", 200), (ours, "owner", 409), (others, "owner", 404),
        (10**6, "owner", 404), (10**30, "owner", 422), (ours, "guest", 403),
    ):  # fmt: skip
        assert api("POST", path, {"id": label_id}, user=user).status_code == status, label_id
    shown = api("GET", f"{APP}/artifacts/v1?with_label=true", user="guest").json()
    assert [label["name"] for label in shown["labels"]] == ["all", "ours"]
    for q, number in ((f"({ours} {everybodys})", 1), (f"({ours} {others})", 0), (ours, 1), (f"{{{ours} {others}}}", 1)):
        assert len(api("GET", f"{APP}/artifacts?with_label=true&q=labels={q}", user="guest").json()) == number, q
    assert api("GET", f"{APP}/artifacts?q=labels=x", user="guest").status_code == 400
    assert api("DELETE", f"{path}/{ours}", user="owner").status_code == 200
    assert api("DELETE", f"{path}/{ours}", user="owner").status_code == 404
    delete_label(label_id=everybodys)
    assert api("GET", f"{APP}/artifacts/v1?with_label=true", user="guest").json()["labels"] == []


def test_labels_stay_where_they_were_given(api: Call, site: Site) -> None:
    """As Harbor's copy does: a label is what a project says of its own."""
    push(site, "v1")
    ours = create_label(project_id=site.project_of(), name="ours")
    everybodys = create_label(project_id=None, name="all")
    for label_id in (ours, everybodys):
        assert api("POST", f"{APP}/artifacts/v1/labels", {"id": label_id}, user="owner").status_code == 200
    for target in ("/projects/public/repositories/copy/artifacts", "/projects/private/repositories/copy/artifacts"):
        assert api("POST", f"{target}?from=private/team/app:v1", user="owner").status_code == 201
        [row] = api("GET", f"{target}?with_label=true", user="owner").json()
        assert row["labels"] == []
    source = api("GET", f"{APP}/artifacts/v1?with_label=true", user="guest").json()
    assert [label["name"] for label in source["labels"]] == ["all", "ours"]


def test_signatures_of_an_index_are_those_of_its_images(api: Call, site: Site) -> None:
    """Where it is asked for: what else belongs to the index does not belong to them."""
    child, loose = push(site, "single"), push(site, "loose", author="x")
    own = set(sign(site, child))
    tops = [site.put(index(child, nonce=number), f"multi{number}").digest for number in range(2)]
    signatures = [set(sign(site, top)) for top in tops]
    site.put(image(site.upload(b"{}"), artifactType="application/spdx+json", nonce=tops[0],
                   subject=descriptor(media_types.OCI_INDEX, tops[0])))  # fmt: skip
    asked = "with_inherited_accessory=true"
    found = api("GET", f"{APP}/artifacts/{child}?{asked}", user="guest").json()
    assert {each["digest"] for each in found["accessories"]} == own
    assert {each["digest"]: each["subject_artifact_digest"] for each in found["inherited_accessories"]} == {
        digest: top for top, each in zip(tops, signatures, strict=True) for digest in each
    }
    rows = {row["digest"]: row for row in api("GET", f"{APP}/artifacts?{asked}", user="guest").json()}
    assert len(rows[child]["inherited_accessories"]) == 4
    project = api("GET", f"/projects/private/artifacts?{asked}", user="guest").json()
    assert [len(row.get("inherited_accessories", ())) for row in project if row["digest"] == child] == [4]
    for digest in (loose, *tops):
        assert "inherited_accessories" not in rows[digest]
    assert "inherited_accessories" not in api("GET", f"{APP}/artifacts/{child}", user="guest").json()
    assert api("DELETE", f"{APP}/artifacts/{tops[0]}", user="owner").status_code == 200
    found = api("GET", f"{APP}/artifacts/single?{asked}", user="guest").json()
    assert {each["digest"] for each in found["inherited_accessories"]} == signatures[1]


def test_accessories_of_children_go_where_the_children_go(api: Call, site: Site) -> None:
    """What `cosign sign --recursive` leaves: signatures of an index and of each of its images."""
    child, kept = push(site), push(site, "single", author="x")
    root = site.put(index(child, kept), "multi").digest
    signatures = {each: set(sign(site, each)) for each in (child, kept, root)}
    target = "/projects/public/repositories/copy/artifacts"
    assert api("POST", f"{target}?from=private/team/app:multi", user="owner").status_code == 201
    copied = api("GET", f"{target}?q=base=*", user="owner").json()
    found = {row["digest"]: {each["digest"] for each in row["accessories"]} for row in copied}
    assert found == signatures
    assert api("DELETE", f"{APP}/artifacts/multi", user="owner").status_code == 200
    live = Manifest.objects.filter(repository_id=site.repository, deleted_at=None)
    assert set(live.values_list("digest", flat=True)) == {kept, *signatures[kept]}
