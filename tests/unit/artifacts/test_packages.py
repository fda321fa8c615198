"""Packages of SBOMs as tools write them, and of documents that mean harm."""

import base64
import json
from typing import Any

import pytest

from haven_registry.artifacts import packages
from haven_registry.artifacts.packages import read_packages

SPDX = {
    "spdxVersion": "SPDX-2.3",
    "relationships": [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-image"},
        {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-1"},
    ],
    "packages": [
        {"SPDXID": "SPDXRef-image", "name": "app", "versionInfo": "sha256:0"},
        {
            "SPDXID": "SPDXRef-1", "name": "libssl3", "versionInfo": "3.0.1",
            "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
                {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/libssl3@3.0.1?arch=amd64&upstream=openssl"},
            ],
        },
        {"name": "plain", "versionInfo": "1"},
        {"name": "plain", "versionInfo": "2"},
    ],
}  # fmt: skip
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "metadata": {"component": {"name": "app", "version": "1"}},
    "components": [
        {"type": "library", "name": "libssl3", "version": "3.0.1", "purl": "pkg:deb/debian/libssl3@3.0.1"},
        {
            "type": "library", "name": "core", "group": "@babel", "version": "7", "purl": "pkg:npm/%40babel/core@7",
            "components": [{"type": "library", "group": "org.x", "name": "inner", "version": "5"}],
        },
        {"type": "file", "name": "/etc/passwd"},
        {"type": "operating-system", "name": "debian", "version": "12"},
    ],
}  # fmt: skip
SYFT = {"artifacts": [{"name": "musl", "version": "1.2", "purl": "pkg:apk/alpine/musl@1.2"}]}


def read(document: Any) -> dict[tuple[str, str], tuple[str, ...]]:
    return {tuple(each): versions for each, versions in read_packages(json.dumps(document).encode()).items()}


def test_each_format() -> None:
    assert read(SPDX) == {("deb", "libssl3"): ("3.0.1",), ("", "plain"): ("1", "2")}
    assert read(CYCLONEDX) == {
        ("deb", "libssl3"): ("3.0.1",), ("npm", "@babel/core"): ("7",), ("", "org.x/inner"): ("5",),
    }  # fmt: skip
    assert read(SYFT) == {("apk", "musl"): ("1.2",)}


def test_what_a_document_is_about_is_no_package_of_it_unless_there_is_nothing_else() -> None:
    image = SPDX["packages"][0]
    assert read(SPDX | {"packages": [image]}) == {("", "app"): ("sha256:0",)}
    assert ("", "app") in read(SPDX | {"relationships": []})
    assert ("", "app") not in read(SPDX | {"relationships": [], "documentDescribes": ["SPDXRef-image"]})
    assert ("", "app") in read(SPDX | {"documentDescribes": ["SPDXRef-1"]})  # about several


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("pkg:npm/%40scope/name@1.0", "name", ("npm", "@scope/name", "1.0")),
        ("pkg:npm/@scope/name", "name", ("npm", "@scope/name", "")),
        ("pkg:golang/github.com/a/b@v1.2.3#sub/dir", "", ("golang", "github.com/a/b", "v1.2.3")),
        ("pkg:maven/org.a/b@1?type=jar", "b", ("maven", "org.a/b", "1")),
        ("pkg:RPM/fedora/bash@5-1.fc40?arch=x86_64", "bash", ("rpm", "bash", "5-1.fc40")),
        ("pkg:generic/a%00%ff@1", "", ("generic", "a\0\ufffd", "1")),
        ("pkg:deb/", "x", ("deb", "x", "")), ("pkg:", "x", ("", "x", "")), ("https://x/y@1", "x", ("", "x", "")),
    ],
)  # fmt: skip
def test_package_urls(url: str, name: str, expected: tuple[str, str, str]) -> None:
    document = {"bomFormat": "CycloneDX", "components": [{"name": name, "purl": url}]}
    assert read(document) == {expected[:2]: (expected[2],)}


def test_statements_are_opened() -> None:
    statement = {"predicateType": "https://spdx.dev/Document", "predicate": SPDX}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": []}
    for each in (statement, envelope, {"mediaType": "x", "dsseEnvelope": envelope}):
        assert read(each) == read(SPDX)


WRONG = [
    b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"spdxVersion": 5}', b'{"bomFormat": "x"}', b'{"a": "\\ud800"}',
    b'{"payloadType": "x", "payload": "!"}', b'{"payloadType": "x", "payload": "\xc3\xa9"}',
    b'{"payloadType": "x", "payload": "e30="}',
    b'{"predicate": {"predicate": {"predicate": {"predicate": {"predicate": {}}}}}}',
]  # fmt: skip


@pytest.mark.parametrize("data", WRONG)
def test_what_is_no_sbom(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_packages(data)


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, [None, 5, "x", [], {}], [{"name": 5, "version": []}]])
def test_odd_types_are_no_packages(odd: Any) -> None:
    assert read({"spdxVersion": "SPDX-2.3", "packages": odd, "relationships": odd, "documentDescribes": odd}) == {}
    assert read({"bomFormat": "CycloneDX", "components": odd}) == {}
    assert read({"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "externalRefs": odd}]}) == {("", "a"): ("",)}
    if isinstance(odd, list):
        assert read({"artifacts": odd}) == {}


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_PACKAGES", 3)
    listed = [{"name": f"p{number}", "version": "1"} for number in range(9)]
    assert len(read({"artifacts": listed})) == 3
    deep: dict[str, Any] = {"bomFormat": "CycloneDX"}
    inner = deep
    for number in range(25):
        child = {"name": f"c{number}"}
        inner["components"] = [child]
        inner = child
    monkeypatch.setattr(packages, "MAX_PACKAGES", 100)
    assert len(read(deep)) == 17
    monkeypatch.setattr(packages, "_MAX_ITEMS", 10)
    with pytest.raises(ValueError, match="more than 10 items"):
        read(SPDX)


def test_long_texts_are_cut() -> None:
    ((name, versions),) = read({"artifacts": [{"name": "n" * 9999, "version": "v" * 9999}]}).items()
    assert (len(name[1]), len(versions[0])) == (512, 512)
