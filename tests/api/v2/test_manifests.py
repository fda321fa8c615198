"""Manifests: push and pull byte for byte, and what is refused (distribution-spec end-3, end-7; image-spec)."""

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
    Blob,
    Manifest,
    absent_digest,
    artifact,
    digest_of,
    foreign_layer,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
)

CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"


def put(client: RegistryClient, repository: str, manifest: Manifest, reference: str | None = None) -> None:
    """A 201 and its headers."""
    answer = check(client.put_manifest(repository, manifest, reference), 201)
    assert answer.headers["Location"] == f"/v2/{repository}/manifests/{manifest.digest}"
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    assert answer.headers["Content-Length"] == "0"
    subject = manifest.document.get("subject")
    assert answer.headers.get("OCI-Subject") == (subject["digest"] if subject else None)


def got_back(client: RegistryClient, repository: str, manifest: Manifest, reference: str) -> None:
    """GET and HEAD by this reference."""
    for method in ("GET", "HEAD"):
        answer = check(client.request(method, f"/v2/{repository}/manifests/{reference}"), 200)
        assert answer.headers["Content-Type"] == manifest.media_type
        assert answer.headers["Docker-Content-Digest"] == manifest.digest
        assert answer.headers["Content-Length"] == str(manifest.size)
        assert answer.headers["ETag"] == f'"{manifest.digest}"'
        by_digest = ":" in reference
        expected = "private, max-age=31536000, immutable" if by_digest else "no-cache"
        assert answer.headers["Cache-Control"] == expected
        assert answer.content == (manifest.payload if method == "GET" else b"")


def sample_images() -> dict[str, Manifest]:
    """One of each kind a registry meets."""
    layer, other = random_layer(), random_layer()
    helm = Blob(b'{"name":"chart"}', "application/vnd.cncf.helm.config.v1+json")
    chart = Blob(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    plain = random_image(10)
    unlisted = json.dumps(plain.document | {"x-vendor": {"a": [1, None, "\u0000é"]}}, indent=3).encode()
    return {
        "oci": image([layer, other]),
        "docker": image([layer], docker=True),
        "no layers": image([]),
        "the same layer twice": image([layer, layer]),
        "artifact": artifact([random_blob(7)], annotations={"a": "b"}),
        "helm": image([chart], config=helm),
        "foreign layer": image([layer, foreign_layer()]),
        "subject missing": artifact(subject=random_image()),
        "index": index([image([layer]), image([other], architecture="arm64")]),
        "docker list": index([image([layer], docker=True)], docker=True),
        "nested index": index([index([image([layer])]), image([other])]),
        "empty index": index([]),
        "index with subject": index([], subject=random_image(), artifact_type="application/vnd.example"),
        "buildkit cache": index([random_blob(50, layer.media_type), Blob(b'{"layers":[]}', CACHE_CONFIG)]),
        "the same child twice": index([image([layer])] * 2),
        "attestation": index(
            [image([Blob(b"{}", "application/vnd.in-toto+json")], architecture="unknown")],
            annotations={"vnd.docker.reference.type": "attestation-manifest"},
        ),
        "sha512": image([random_layer(algorithm="sha512")], algorithm="sha512"),
        "unknown members": Manifest(unlisted, OCI_MANIFEST, plain.blobs),
    }


IMAGES = sample_images()


@pytest.mark.parametrize("kind", IMAGES)
def test_push_and_pull(client: RegistryClient, repository: str, kind: str) -> None:
    manifest = IMAGES[kind]
    for blob in manifest.all_blobs():
        client.push_blob(repository, blob)
    for one in manifest.manifests():
        put(client, repository, one)
        got_back(client, repository, one, one.digest)
    if manifest.algorithm == "sha256":
        put(client, repository, manifest, "v1")
        got_back(client, repository, manifest, "v1")


def test_a_tag_moves(client: RegistryClient, repository: str) -> None:
    first, second = client.push(repository, random_image(), "v1"), random_image()
    client.push(repository, second, "v1")
    got_back(client, repository, second, "v1")
    got_back(client, repository, first, first.digest)


def test_pushing_again_changes_nothing(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    manifest = client.push(repository, random_image(), "v1")
    with backstage.nothing_stored(project):
        put(client, repository, manifest, "v1")
        put(client, repository, manifest)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_push_by_digest_with_tags(client: RegistryClient, repository: str, algorithm: str) -> None:
    manifest = random_image(algorithm=algorithm)
    client.push(repository, manifest)
    tags = [f"t{n}" for n in range(46)]
    answer = check(client.put_manifest(repository, manifest, tags=tags), 201)
    assert [tag.strip() for tag in answer.headers["OCI-Tag"].split(",")] == tags
    assert client.tags(repository) == sorted(tags)
    got_back(client, repository, manifest, "t7")
    again = check(client.put_manifest(repository, manifest, tags=["t1", "t1"]), 201)
    assert again.headers["OCI-Tag"] == "t1"


@pytest.mark.parametrize(
    ("tags", "status"),
    [(["a" * 128] * 47, 414), ([f"t{n}" for n in range(300)], 414), (["-bad"], 400), (["ok", "a:b"], 400)],
)
def test_tags_that_cannot_be(
    client: RegistryClient, backstage: Backstage, project: str, repository: str, tags: list[str], status: int
) -> None:
    manifest = random_image()
    for blob in manifest.blobs:
        client.push_blob(repository, blob)
    with backstage.nothing_stored(project):
        check(client.put_manifest(repository, manifest, tags=tags), status)
        check(client.head_manifest(repository, manifest.digest), 404)


def test_tag_parameters_go_with_a_digest(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    manifest = client.push(repository, random_image(), "v1")
    with backstage.nothing_stored(project):
        check(client.put_manifest(repository, manifest, "v2", tags=["v3"]), 400, "TAG_INVALID")


def test_four_mebibytes_and_no_more(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    limit = 4 * 1024 * 1024
    client.push_blob(repository, EMPTY_JSON)
    annotations = {f"annotation-{n:03}": "x" * 10_000 for n in range(390)}  # what conformance pushes
    base = artifact(annotations=annotations)

    def padded(size: int) -> Manifest:
        return Manifest(base.payload + b" " * (size - base.size), OCI_MANIFEST)

    whole = padded(limit)
    put(client, repository, whole, "large")
    got_back(client, repository, whole, "large")
    with backstage.nothing_stored(project):
        for size in (limit + 1, 6 * 1024 * 1024):  # the application's word, and the gateway's
            check(client.put_manifest(repository, padded(size), "larger"), 413, "SIZE_INVALID")
        streamed = client.request(
            "PUT",
            f"/v2/{repository}/manifests/larger",
            data=iter([padded(limit).payload, b" "]),
            headers={"Content-Type": OCI_MANIFEST},
        )
        check(streamed, 413, "SIZE_INVALID")
        check(client.head_manifest(repository, "larger"), 404)


def test_chunked_manifest(client: RegistryClient, repository: str) -> None:
    manifest = random_image()
    client.push(repository, manifest, "v1")
    answer = client.request(
        "PUT",
        f"/v2/{repository}/manifests/v2",
        data=iter([manifest.payload[:50], manifest.payload[50:]]),
        headers={"Content-Type": manifest.media_type},
    )
    check(answer, 201)
    got_back(client, repository, manifest, "v2")


@pytest.mark.parametrize("spelling", ["{}; charset=utf-8", "{} ;x=y", "upper"])
def test_content_type_with_parameters(client: RegistryClient, repository: str, spelling: str) -> None:
    manifest = random_image()
    client.push(repository, manifest)
    text = OCI_MANIFEST.upper() if spelling == "upper" else spelling.format(OCI_MANIFEST)
    check(client.put_manifest(repository, manifest, "v1", headers={"Content-Type": text}), 201)
    got_back(client, repository, manifest, "v1")


def test_content_type_left_out(client: RegistryClient, repository: str) -> None:
    for manifest in (
        random_image(),
        image([random_layer()], extra={"mediaType": None}),
        index([], extra={"mediaType": None}),
    ):
        named = Manifest(
            manifest.payload, OCI_INDEX if b"manifests" in manifest.payload else OCI_MANIFEST, manifest.blobs
        )
        for blob in named.blobs:
            client.push_blob(repository, blob)
        answer = client.request("PUT", f"/v2/{repository}/manifests/{named.digest}", data=named.payload)
        check(answer, 201)
        got_back(client, repository, named, named.digest)


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
def bad_repository(haven, backstage: Backstage) -> tuple[str, str]:  # type: ignore[no-untyped-def]
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


def test_nul_in_strings_is_kept_and_no_error(client: RegistryClient, repository: str) -> None:
    """Legal JSON that PostgreSQL's text and jsonb cannot hold."""
    subject = client.push(repository, random_image())
    manifest = artifact(subject=subject, annotations={"a\0b": "c\0d", "e": "\U0001f600"})
    client.push(repository, manifest, "nul")
    got_back(client, repository, manifest, "nul")
    [listed] = client.referrers(repository, subject.digest).json()["manifests"]
    assert listed["annotations"]["e"] == "\U0001f600"


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


def test_longest_tag(client: RegistryClient, repository: str) -> None:
    manifest = client.push(repository, random_image(), "_" + "a.-_9Z" * 21 + "x")
    got_back(client, repository, manifest, client.tags(repository)[0])


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


def test_get_of_what_is_not_there(client: RegistryClient, repository: str) -> None:
    check(client.get_manifest(repository, "v1"), 404, "MANIFEST_UNKNOWN")
    client.push(repository, random_image(), "v1")
    for reference in ("v2", absent_digest(), absent_digest("sha512"), "blake3:" + "0" * 64, "V1"):
        check(client.get_manifest(repository, reference), 404, "MANIFEST_UNKNOWN")
        check(client.head_manifest(repository, reference), 404)
    check(client.get_manifest(repository, "sha256:baddigeststring"), 400, "DIGEST_INVALID")
    check(client.get_manifest(repository, "-v1"), 400, "TAG_INVALID")


def test_accept(client: RegistryClient, repository: str) -> None:
    """One digest has one representation: it comes, unless the client names manifest types and none of them is it."""
    manifest = client.push(repository, random_image(), "v1")
    for accept in ("*/*", "application/*", "application/json", f"{DOCKER_MANIFEST}, */*", f"{OCI_MANIFEST};q=0.5"):
        check(client.get_manifest(repository, "v1", [accept]), 200)
    no_header = client.request("GET", f"/v2/{repository}/manifests/v1", headers={"Accept": None})  # type: ignore[dict-item]
    assert check(no_header, 200).content == manifest.payload
    refused = check(client.get_manifest(repository, "v1", [DOCKER_MANIFEST, DOCKER_LIST]), 404, "MANIFEST_UNKNOWN")
    assert OCI_MANIFEST in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["blobs", "manifests", "tags/list", "a/manifests/v1", "blobs/uploads", "referrers"])
def test_repositories_named_like_the_api(client: RegistryClient, project: str, name: str) -> None:
    repository = f"{project}/{name}"
    manifest = client.push(repository, random_image(), "v1")
    got_back(client, repository, manifest, "v1")
    assert client.tags(repository) == ["v1"]
    assert client.get_blob(repository, manifest.blobs[0].digest).content == manifest.blobs[0].data
