"""Comparing artifacts, what takes room, and who uses a blob."""

import json
from typing import Any

import pytest

from haven_registry.oci import media_types
from tests.api.artifacts import APP, CONFIG
from tests.api.conftest import Call
from tests.support.documents import descriptor, digest_of, image, index
from tests.support.site import Site


def config(site: Site, **runtime: Any) -> str:
    return site.upload(json.dumps(CONFIG | {"config": runtime}).encode())


def test_two_images_are_compared(api: Call, site: Site) -> None:
    base, old, new = site.upload(b"base"), site.upload(b"old one"), site.upload(b"new")
    first = config(site, Env=["A=1", "B=<b>"], Labels={"x": "1"}, Entrypoint=["/a"], User="me")
    second = config(site, Env=["A=2", "C=3"], Labels={"x": "1"}, Entrypoint=["/b"], User="me")
    site.put(image(first, base, old), "v1")
    site.put(image(second, base, new), "v2")
    found = api("GET", f"{APP}/compare?a=v1&b=v2", user="guest").json()
    assert [(part["state"], part["digest"], part["size"]) for part in found["layers"]] == [
        ("same", base, 1), ("added", new, 1), ("removed", old, 1),
    ]  # fmt: skip
    assert (found["same_size"], found["added_size"], found["removed_size"]) == (1, 1, 1)
    assert found["config"] == [{"state": "changed", "name": "Entrypoint", "a": ["/a"], "b": ["/b"]}]
    assert [(each["state"], each["name"], each["a"], each["b"]) for each in found["env"]] == [
        ("changed", "A", "1", "2"), ("removed", "B", "<b>", None), ("added", "C", None, "3"),
    ]  # fmt: skip
    assert found["labels"] == [{"state": "same", "name": "x", "a": "1", "b": "1"}]
    same = api("GET", f"{APP}/compare?a=v1&b=v1", user="guest").json()
    assert (same["config"], {part["state"] for part in same["layers"]}) == ([], {"same"})


def test_images_of_several_platforms_are_compared_by_one(api: Call, site: Site) -> None:
    base, old, new = site.upload(b"base"), site.upload(b"old one"), site.upload(b"new")
    tops = []
    for layer in (old, new):
        children = []
        for number, name in enumerate(("amd64", "arm64")):
            runtime = site.upload(json.dumps(CONFIG | {"architecture": name, "config": {"Cmd": [layer]}}).encode())
            payload = image(runtime, base, layer, nonce=number)
            child = site.put(payload).digest
            children.append(
                descriptor(media_types.OCI_MANIFEST, child, len(payload))
                | {"platform": {"os": "linux", "architecture": name}}
            )
        tops.append(site.put(index(manifests=children), f"v{len(tops) + 1}").digest)
    found = api("GET", f"{APP}/compare?a=v1&b=v2", user="guest").json()
    assert [found["a"], found["b"], found["platform"], found["platforms"]] == [
        *tops, "linux/amd64", ["linux/amd64", "linux/arm64"],
    ]  # fmt: skip
    assert {(part["state"], part["digest"]) for part in found["layers"]} == {
        ("same", base), ("added", new), ("removed", old),
    }  # fmt: skip
    assert [value["name"] for value in found["config"]] == ["Cmd"]
    other = api("GET", f"{APP}/compare?a=v1&b=v2&platform=linux/arm64", user="guest").json()
    assert other["platform"] == "linux/arm64"
    # a single image meets the one for its platform
    one = api("GET", f"{APP}/compare?a={children[1]['digest']}&b=v1", user="guest").json()
    assert (one["platform"], one["same_size"], one["b"]) == ("linux/arm64", 1, tops[0])
    # what is for no common platform is compared as it is
    assert api("GET", f"{APP}/compare?a=v1&b=v2&platform=plan9/mips", user="guest").json()["platform"] == "linux/amd64"


def test_what_can_not_be_compared(api: Call, site: Site) -> None:
    hostile = site.upload(json.dumps({"config": {"Env": {"a": 1}, "Labels": [1], "Entrypoint": 5}}).encode())
    site.put(image(hostile), "odd")
    digest = site.push(b"[]", "broken")
    site.put(index(digest), "index")
    for reference in ("odd", "broken", "index"):
        assert api("GET", f"{APP}/compare?a={reference}&b=odd", user="guest").status_code == 200
    assert api("GET", f"{APP}/compare?a=odd", user="guest").status_code == 422
    assert api("GET", f"{APP}/compare?a=odd&b=no", user="guest").status_code == 404
    assert api("GET", f"{APP}/compare?a=odd&b=odd", user="stranger").status_code == 403


def test_room_alone_and_shared(api: Call, site: Site, projects: dict[str, int]) -> None:
    base, one, two = site.upload(b"b" * 100), site.upload(b"1" * 10), site.upload(b"2" * 20)
    site.put(image(base, one), "v1")
    site.put(image(base, two), "v2")
    other = site.new_repository(projects["private"], "other")
    site.put(image(site.upload(b"2" * 20, other)), "x", repository=other)
    assert api("GET", f"{APP}/artifacts/v1/usage", user="guest").json() == {
        "blobs": 2, "size": 110, "unique": 10, "shared": 100,
    }  # fmt: skip
    assert api("GET", f"{APP}/usage", user="guest").json() == {"blobs": 3, "size": 130, "unique": 110, "shared": 20}
    whole = {"blobs": 3, "size": 130, "unique": 130, "shared": 0}
    assert api("GET", "/projects/private/usage", user="guest").json() == whole
    api("DELETE", f"{APP}/artifacts/v2", user="owner")
    assert api("GET", f"{APP}/artifacts/v1/usage", user="guest").json()["unique"] == 110
    assert api("GET", "/projects/private/usage", user="stranger").status_code == 403
    assert api("GET", f"{APP}/usage", user="stranger").status_code == 403


def test_an_index_counts_what_is_below_it(api: Call, site: Site) -> None:
    base = site.upload(b"b" * 100)
    children = [site.put(image(base, site.upload(bytes([65 + number]) * 10))).digest for number in range(2)]
    site.put(index(*children), "all")
    assert api("GET", f"{APP}/artifacts/all/usage", user="guest").json() == {
        "blobs": 3, "size": 120, "unique": 120, "shared": 0,
    }  # fmt: skip


def test_nobody_learns_of_blobs_elsewhere(api: Call, site: Site, projects: dict[str, int]) -> None:
    """Whether a project that one can't see has a blob is told neither by its users nor by sums."""
    blob = site.upload(b"secret")
    private = site.put(image(blob), "v1").digest
    open_repository = site.new_repository(projects["public"], "app")
    site.put(image(site.upload(b"secret", open_repository), nonce=1), "v1", repository=open_repository)
    seen = {
        user: [row["repository_name"] for row in api("GET", f"/blobs/{blob}", user=user).json()]
        for user in ("guest", "stranger", "", "root")
    }
    both = ["private/team/app", "public/app"]
    assert seen == {"guest": both, "stranger": ["public/app"], "": ["public/app"], "root": both}
    [row, _] = api("GET", f"/blobs/{blob}", user="guest").json()
    assert (row["digest"], row["tags"], row["type"], row["blob_size"]) == (private, ["v1"], "IMAGE", 6)
    assert api("GET", "/projects/public/usage", user="stranger").json()["shared"] == 0
    assert api("GET", "/projects/public/usage", user="guest").json()["shared"] == 6
    hidden = site.upload(b"only private")
    site.put(image(hidden), "v2")
    missing = digest_of(b"nowhere")
    answers = {
        digest: api("GET", f"/blobs/{digest}", user="stranger").content.replace(digest.encode(), b"")
        for digest in (hidden, missing)
    }
    assert answers[hidden] == answers[missing]
    assert api("GET", f"/blobs/{missing}", user="root").status_code == 404
    assert api("GET", "/blobs/x", user="root").status_code == 400


@pytest.mark.parametrize("number", [1, 8])
def test_the_users_of_a_blob_take_the_same_number_of_statements(
    api: Call, site: Site, number: int, django_assert_max_num_queries
) -> None:
    blob = site.upload(b"base")
    for each in range(number):
        site.put(image(blob, nonce=each), f"v{each}")
    with django_assert_max_num_queries(10):
        rows = api("GET", f"/blobs/{blob}?page_size=100", user="guest").json()
    assert len(rows) == number
