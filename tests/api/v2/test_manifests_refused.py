"""Manifests that are refused, and leave nothing behind (image-spec; S6, S24, S36)."""

from __future__ import annotations

import json

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check
from tests.support.client import RegistryClient, error_codes
from tests.support.oci import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    EMPTY_JSON,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    absent_digest,
    digest_of,
    foreign_layer,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
)
from tests.support.stack import HavenServer


def bad_documents() -> dict[str, tuple[bytes, str]]:
    """Payload and content type of what is MANIFEST_INVALID, whatever the repository holds."""
    good = image([], config=EMPTY_JSON)
    text = good.payload.decode()

    def changed(**members: object) -> bytes:
        return json.dumps(good.document | members).encode()

    config = EMPTY_JSON.descriptor()
    cases = {
        "nothing": b"",
        "no JSON": b"hello",
        "a list": b"[]",
        "a string": b'"x"',
        "null": b"null",
        "half": good.payload[:-5],
        "two documents": good.payload * 2,
        "byte order mark": b"\xef\xbb\xbf" + good.payload,
        "UTF-16": text.encode("utf-16"),
        "no UTF-8": good.payload[:-1] + b',"a":"\xff"}',
        "duplicate key": good.payload[:-1] + b',"schemaVersion":2}',
        "duplicate key below": text.replace('"size":2', '"size":2,"size":3').encode(),
        "NaN": good.payload[:-1] + b',"a":NaN}',
        "Infinity": good.payload[:-1] + b',"a":-Infinity}',
        "overflow": good.payload[:-1] + b',"a":1e999}',
        "huge number": good.payload[:-1] + b',"a":' + b"9" * 5000 + b"}",
        "lone surrogate": good.payload[:-1] + b',"a":"\\ud800"}',
        "deep": good.payload[:-1] + b',"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "many": good.payload[:-1] + b',"a":[' + b"0," * 1_000_000 + b"0]}",
        "other spelling": good.payload[:-1] + b',"Layers":[]}',
        "no config": changed(config=None),
        "config is a list": changed(config=[]),
        "digest is a number": changed(config=config | {"digest": 1}),
        "digest of another algorithm": changed(config=config | {"digest": "md5:" + "0" * 32}),
        "digest with a newline": changed(config=config | {"digest": config["digest"] + "\n"}),
        "path as digest": changed(config=config | {"digest": "sha256:../../../../etc/passwd"}),
        "negative size": changed(config=config | {"size": -1}),
        "size is true": changed(config=config | {"size": True}),
        "size too large": changed(config=config | {"size": 2**63}),
        "sizes too large": changed(layers=[config | {"size": 2**62}] * 2),
        "layers is an object": changed(layers={}),
        "layer is a string": changed(layers=["x"]),
        "annotation is a number": changed(annotations={"a": 1}),
        "media type with NUL": changed(config=config | {"mediaType": "a/b\0"}),
        "media type too long": changed(artifactType="a/" + "b" * 300),
        "version 1": changed(schemaVersion=1),
        "version missing": changed(schemaVersion=None),
        "version is text": changed(schemaVersion="2"),
        "image and index": changed(manifests=[]),
        "subject is text": changed(subject="x"),
        "member differs from header": changed(mediaType=DOCKER_MANIFEST),
    }
    found = {name: (payload, OCI_MANIFEST) for name, payload in cases.items()}
    found["unknown type"] = (changed(mediaType=None), "application/json")
    found["header differs from member"] = (good.payload, DOCKER_MANIFEST)
    found["an image as an index"] = (changed(mediaType=None), OCI_INDEX)
    found["an index as an image"] = (index([], extra={"mediaType": None}).payload, OCI_MANIFEST)
    found["a list as an index"] = (index([], docker=True).payload, OCI_INDEX)
    found["index without manifests"] = (b'{"schemaVersion":2}', DOCKER_LIST)
    found["child without type"] = (
        json.dumps({"schemaVersion": 2, "manifests": [{"digest": config["digest"], "size": 2}]}).encode(),
        OCI_INDEX,
    )
    schema1 = b'{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}'
    for kind in ("v1+json", "v1+prettyjws"):
        found[f"schema {kind}"] = (schema1, f"application/vnd.docker.distribution.manifest.{kind}")
    return found


BAD = bad_documents()


@pytest.fixture(scope="module")
def bad_repository(haven: HavenServer) -> tuple[str, str]:
    """Project and repository that hold all that the bad manifests name."""
    project = haven.create_project("badmanifests")
    haven.client().push_blob(f"{project}/app", EMPTY_JSON)
    return project, f"{project}/app"


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_manifest(
    client: RegistryClient, backstage: Backstage, bad_repository: tuple[str, str], case: str
) -> None:
    project, repository = bad_repository
    payload, media_type = BAD[case]
    with backstage.nothing_stored(project):
        for reference in ("v1", digest_of(payload)):
            answer = client.put_manifest(repository, Manifest(payload, media_type), reference)
            check(answer, 400, "MANIFEST_INVALID")
            if case not in ("nothing", "no JSON"):
                assert answer.json()["errors"][0]["detail"]["path"].startswith("$")
            check(client.head_manifest(repository, reference), 404)
    if case.startswith(("schema", "version 1")):
        assert "schema 1" in answer.text


@pytest.mark.parametrize(
    "reference",
    ["sha256:baddigeststring", "sha256:" + "A" * 64, "md5:" + "0" * 32, "{}%20", "{}%0A", "sha512:" + "0" * 64, "a:b"],
)
def test_put_under_what_is_no_digest(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, reference: str
) -> None:
    manifest = client.push(repository, random_image())
    with backstage.nothing_stored(project):
        answer = client.put_manifest(repository, manifest, reference.format(manifest.digest))
        check(answer, 400, "DIGEST_INVALID")


def test_put_under_another_digest(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    manifest = client.push(repository, random_image())
    with backstage.nothing_stored(project):
        for algorithm in ("sha256", "sha512"):
            other = absent_digest(algorithm)
            check(client.put_manifest(repository, manifest, other), 400, "DIGEST_INVALID")
            check(client.head_manifest(repository, other), 404)


@pytest.mark.parametrize("reference", ["-v1", ".v1", "a" * 129, "v%0A1", "v1%0A", "v%201", "%C3%A9", "a+b"])
def test_put_under_what_is_no_tag(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, reference: str
) -> None:
    manifest = client.push(repository, random_image())
    with backstage.nothing_stored(project):
        check(client.put_manifest(repository, manifest, reference), 400, "TAG_INVALID")


def test_missing_content_is_named_digest_by_digest(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    here, gone, also_gone = random_layer(), random_layer(), random_layer()
    client.push_blob(repository, here)
    manifest = image([here, gone, also_gone, foreign_layer()])
    missing = {manifest.blobs[0].digest, gone.digest, also_gone.digest}
    children = index([random_image(), random_blob()])
    with backstage.nothing_stored(project):
        for pushed, names in (
            (manifest, missing),
            (children, {children.children[0].digest, children.blobs[0].digest}),
        ):
            for reference in ("v1", None):
                answer = check(client.put_manifest(repository, pushed, reference), 400)
                assert error_codes(answer) == ["MANIFEST_BLOB_UNKNOWN"] * len(names)
                errors = answer.json()["errors"]
                assert {entry["detail"]["digest"] for entry in errors} == names
                assert all(entry["detail"]["digest"] in entry["message"] for entry in errors)
            check(client.head_manifest(repository, pushed.digest), 404)


def test_a_refused_manifest_makes_no_repository(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    with backstage.nothing_stored(project):
        check(client.put_manifest(repository, image([]), "v1"), 400, "MANIFEST_BLOB_UNKNOWN")
        check(client.list_tags(repository), 404, "NAME_UNKNOWN")


def test_content_of_another_repository_does_not_count(
    client: RegistryClient, backstage: Backstage, project: str, public_project: str
) -> None:
    """S6: a digest that is known elsewhere, in the project and outside it."""
    for source in (f"{project}/source", f"{public_project}/source"):
        manifest = client.push(source, random_image(), "v1")
        client.push_blob(f"{project}/target", random_blob())
        with backstage.nothing_stored(project):
            answer = client.put_manifest(f"{project}/target", manifest, "v1")
            assert error_codes(check(answer, 400)) == ["MANIFEST_BLOB_UNKNOWN"] * 2
            check(client.put_manifest(f"{project}/target", index([manifest])), 400, "MANIFEST_BLOB_UNKNOWN")
            check(client.get_manifest(f"{project}/target", manifest.digest), 404, "MANIFEST_UNKNOWN")


def test_very_many_missing_layers(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    client.push_blob(repository, EMPTY_JSON)
    layers = [{"mediaType": "a/b", "digest": f"sha256:{n:064x}", "size": 1} for n in range(35_000)]
    manifest = image([], config=EMPTY_JSON, extra={"layers": layers})
    assert manifest.size < 4 * 1024 * 1024
    with backstage.nothing_stored(project):
        answer = check(client.put_manifest(repository, manifest, "v1"), 400)
    assert len(answer.content) < 1024 * 1024
