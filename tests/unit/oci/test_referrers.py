"""The referrers index and its pages."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from haven_registry.oci.manifest import MAX_MANIFEST_BYTES, parse_manifest
from haven_registry.oci.media_types import OCI_INDEX, OCI_MANIFEST
from haven_registry.oci.referrers import build_page, referrer_descriptor

EMPTY = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


def descriptor(number: int, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return referrer_descriptor(
        media_type=OCI_MANIFEST,
        digest=f"sha256:{number:064x}",
        size=number,
        artifact_type="application/vnd.example.sbom",
        annotations=annotations or {},
    )


def test_a_descriptor_carries_what_clients_choose_by() -> None:
    assert descriptor(7, {"a": "b"}) == {
        "mediaType": OCI_MANIFEST,
        "digest": f"sha256:{7:064x}",
        "size": 7,
        "artifactType": "application/vnd.example.sbom",
        "annotations": {"a": "b"},
    }


def test_empty_members_are_left_out() -> None:
    bare = referrer_descriptor(media_type=OCI_INDEX, digest="sha256:x", size=0, artifact_type="", annotations={})

    assert bare == {"mediaType": OCI_INDEX, "digest": "sha256:x", "size": 0}


def test_no_referrers_is_an_empty_index() -> None:
    page = build_page([])

    assert page.body == EMPTY
    assert (page.count, page.has_more) == (0, False)


def test_an_index_is_a_manifest_itself() -> None:
    page = build_page([descriptor(1, {"title": 'é \u2028 " \\'}), descriptor(2)])

    parsed = parse_manifest(page.body, OCI_INDEX)
    assert [child.size for child in parsed.manifests] == [1, 2]
    assert parsed.manifests[0].annotations == {"title": 'é \u2028 " \\'}
    assert parsed.manifests[0].artifact_type == "application/vnd.example.sbom"


def test_a_page_stays_below_what_clients_accept() -> None:
    rows = [descriptor(number, {"note": "x" * 1_000_000}) for number in range(6)]

    pages = []
    while rows:
        page = build_page(rows)
        pages.append(page.count)
        assert len(page.body) <= MAX_MANIFEST_BYTES
        assert page.has_more == (page.count < len(rows))
        rows = rows[page.count :]

    assert pages == [4, 2]


def test_a_descriptor_too_large_for_any_page_loses_its_annotations() -> None:
    page = build_page([descriptor(1), descriptor(2, {"note": "x" * MAX_MANIFEST_BYTES}), descriptor(3)])

    assert page.count == 3
    assert json.loads(page.body)["manifests"] == [descriptor(1), descriptor(2), descriptor(3)]


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=300), max_size=2), max_size=12),
    st.integers(400, 1500),
)
def test_pages_list_everything_once_in_order(annotations: list[dict[str, str]], limit_bytes: int) -> None:
    rows = [descriptor(number, each) for number, each in enumerate(annotations)]

    listed: list[dict[str, Any]] = []
    has_more = True
    while has_more:
        page = build_page(rows[len(listed) :], limit_bytes)
        assert len(page.body) <= limit_bytes
        entries = json.loads(page.body)["manifests"]
        assert len(entries) == page.count
        listed += entries
        has_more = page.has_more
        assert page.count or not has_more

    assert [entry["digest"] for entry in listed] == [row["digest"] for row in rows]
    for entry, row in zip(listed, rows, strict=True):
        assert entry == row or ("annotations" not in entry and len(json.dumps(row)) > limit_bytes // 2)
