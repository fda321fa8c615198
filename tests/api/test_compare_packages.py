"""What two artifacts have installed, by their SBOMs, however those are attached."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from haven_registry import packages
from haven_registry.oci import media_types
from tests.api.artifacts import APP, push
from tests.api.conftest import Call
from tests.support import artifacts
from tests.support.artifacts import Artifact
from tests.support.site import Site

SPDX_TYPE, CYCLONEDX_TYPE = "application/spdx+json", "application/vnd.cyclonedx+json"
SPDX_PREDICATE = "https://spdx.dev/Document"
OLD = {"libssl3": "3.0.1", "bash": "5.1", "gone": "1"}
NEW = {"libssl3": "3.0.2", "bash": "5.1", "new": "2"}
CHANGES = [
    ("removed", "deb", "gone", ["1"], None),
    ("changed", "deb", "libssl3", ["3.0.1"], ["3.0.2"]),
    ("added", "deb", "new", None, ["2"]),
]


def spdx(versions: dict[str, str]) -> dict[str, Any]:
    return {
        "spdxVersion": "SPDX-2.3",
        "packages": [
            {
                "name": name, "versionInfo": version,
                "externalRefs": [{"referenceType": "purl", "referenceLocator": f"pkg:deb/debian/{name}@{version}"}],
            }
            for name, version in versions.items()
        ],
    }  # fmt: skip


def cyclonedx(versions: dict[str, str]) -> dict[str, Any]:
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:deb/debian/{name}@{version}"}
        for name, version in versions.items()
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components}


def put(site: Site, artifact: Artifact, *tags: str) -> str:
    for blob in artifact.blobs:
        site.upload(blob)
    return site.put(artifact.payload, *tags).digest


def attach(site: Site, of: str, document: Any, media_type: str = SPDX_TYPE) -> str:
    return put(site, artifacts.attached_sbom(of, media_type, json.dumps(document).encode()))


def attest(site: Site, of: str, document: Any) -> str:
    """As `cosign attest --type spdxjson` does, under its tag."""
    statement = json.dumps({"predicateType": SPDX_PREDICATE, "predicate": document}).encode()
    envelope = {"payloadType": "application/vnd.in-toto+json", "payload": base64.b64encode(statement).decode()}
    layer = ("application/vnd.dsse.envelope.v1+json", json.dumps(envelope).encode(), {"predicateType": SPDX_PREDICATE})
    config = (media_types.OCI_CONFIG, artifacts.CONFIG)
    return put(site, Artifact([layer], config=config), of.replace(":", "-") + ".att")


def built(site: Site, tag: str, image: str, document: Any) -> str:
    """As `docker buildx build --sbom=true` pushes; the digest of the index."""
    statement = json.dumps({"predicateType": SPDX_PREDICATE, "predicate": document}).encode()
    layer = (media_types.IN_TOTO, statement, {"in-toto.io/predicate-type": SPDX_PREDICATE})
    beside = put(site, Artifact([layer], config=(media_types.OCI_CONFIG, artifacts.CONFIG)))
    return site.put(artifacts.buildkit_index(image, beside), tag).digest


def compared(api: Call, a: str = "v1", b: str = "v2") -> dict[str, Any]:
    response = api("GET", f"{APP}/compare?a={a}&b={b}", user="guest")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()["packages"]
    return found


def changes(found: dict[str, Any]) -> list[Sequence[Any]]:
    return [(each["state"], each["type"], each["name"], each["a"], each["b"]) for each in found["changes"]]


def test_an_sbom_of_each_format(api: Call, site: Site) -> None:
    """A referrer on one side, Cosign's tag on the other."""
    old, new = push(site, "v1"), push(site, "v2", author="x")
    first = attach(site, old, spdx(OLD))
    layer = (CYCLONEDX_TYPE, json.dumps(cyclonedx(NEW)).encode())
    config = (media_types.OCI_CONFIG, artifacts.CONFIG)
    second = put(site, Artifact([layer], config=config), new.replace(":", "-") + ".sbom")
    found = compared(api)
    assert (found["a"], found["b"]) == ({"sbom": first, "problem": ""}, {"sbom": second, "problem": ""})
    assert (changes(found), found["same"]) == (CHANGES, 1)
    itself = compared(api, "v1", "v1")
    assert (itself["changes"], itself["same"]) == ([], 3)


def test_statements(api: Call, site: Site) -> None:
    old, new = push(site, "v1"), push(site, "v2", author="x")
    attest(site, old, spdx(OLD))
    attest(site, new, spdx(NEW))
    assert changes(compared(api)) == CHANGES


def test_what_buildkit_puts_beside_an_image(api: Call, site: Site) -> None:
    built(site, "v1", push(site), spdx(OLD))
    built(site, "v2", push(site, author="x"), spdx(NEW))
    assert changes(compared(api)) == CHANGES


def test_an_sbom_of_the_index_is_that_of_its_images(api: Call, site: Site) -> None:
    old, new = push(site), push(site, author="x")
    attach(site, built(site, "v1", old, {}), spdx(OLD))
    attach(site, new, spdx(NEW))
    attach(site, built(site, "v2", new, {}), spdx({"other": "1"}))
    assert changes(compared(api)) == CHANGES


def test_without_an_sbom(api: Call, site: Site) -> None:
    old = push(site, "v1")
    push(site, "v2", author="x")
    put(site, artifacts.notation_signature(old))
    nothing = {"sbom": None, "problem": ""}
    assert compared(api) == {"a": nothing, "b": nothing, "same": 0, "changes": []}
    sbom = attach(site, old, spdx(OLD))
    assert compared(api) == {"a": {"sbom": sbom, "problem": ""}, "b": nothing, "same": 0, "changes": []}


@pytest.mark.parametrize("document", [[], {}, {"spdxVersion": 5}, {"payloadType": "x", "payload": "%"}])
def test_one_that_can_not_be_read(api: Call, site: Site, document: Any) -> None:
    old, new = push(site, "v1"), push(site, "v2", author="x")
    attach(site, old, spdx(OLD))
    broken = attach(site, new, document)
    found = compared(api)
    assert (found["b"]["sbom"], found["changes"], found["same"]) == (broken, [], 0)
    assert found["b"]["problem"].startswith("the SBOM can't be read: ")
    attach(site, new, spdx(NEW))
    attach(site, new, document, CYCLONEDX_TYPE)  # the newest, and no better
    assert changes(compared(api)) == CHANGES


def test_a_large_one_is_not_opened(api: Call, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_SBOM_BYTES", 100)
    attach(site, push(site, "v1"), spdx(OLD))
    attach(site, push(site, "v2", author="x"), spdx(NEW))
    assert "larger than" in compared(api)["a"]["problem"]


@pytest.mark.parametrize("number", [1, 8])
def test_many_accessories_take_the_same_number_of_statements(
    api: Call, site: Site, number: int, django_assert_max_num_queries
) -> None:
    for tag in ("v1", "v2"):
        image = push(site, tag, author=tag)
        for each in range(number):
            attach(site, image, spdx({"p": str(each)}) | {"name": f"{tag} {each}"})
            put(site, artifacts.notation_signature(image, str(each)))
    compared(api)  # explains them
    with django_assert_max_num_queries(14):
        assert compared(api)["same"] == 1
