"""Manifests: what is refused and how, tags that move, conditions (distribution-spec end-3, 7, 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.client import RegistryClient, error_codes, expect
from tests.support.oci import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    absent_digest,
    digest_of,
    encode,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
)

LIMIT = 4 * 1024 * 1024


@pytest.fixture
def pushed(client: RegistryClient, repository: str) -> Manifest:
    """An image, pushed as `v1`."""
    return client.push(repository, random_image(), "v1")


def variant(manifest: Manifest, **changes: Any) -> Manifest:
    """The manifest with fields changed; a field set to None is left out. Its blobs are known to the registry."""
    document = {key: value for key, value in (manifest.document | changes).items() if value is not None}
    return Manifest(encode(document), document.get("mediaType", manifest.media_type), manifest.blobs)


def assert_refused(
    client: RegistryClient, repository: str, manifest: Manifest, code: str = "MANIFEST_INVALID", **headers: str
) -> list[Mapping[str, Any]]:
    """400 with this code, and nothing is there afterwards; returns the errors."""
    refused = client.put_manifest(repository, manifest, "refused", headers=headers)
    assert refused.status_code == 400, refused.text
    assert set(error_codes(refused)) == {code}, refused.text
    assert client.head_manifest(repository, "refused").status_code == 404
    assert client.head_manifest(repository, manifest.digest).status_code == 404
    found: list[Mapping[str, Any]] = refused.json()["errors"]
    return found


@pytest.mark.parametrize("reference", ["missing", "digest"])
def test_missing(client: RegistryClient, repository: str, pushed: Manifest, reference: str) -> None:
    missing = client.get_manifest(repository, absent_digest() if reference == "digest" else reference)
    assert missing.status_code == 404
    assert error_codes(missing) == ["MANIFEST_UNKNOWN"]


@pytest.mark.parametrize("reference", ["sha256:baddigeststring", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_malformed_digest(client: RegistryClient, repository: str, pushed: Manifest, reference: str) -> None:
    refused = client.put_manifest(repository, pushed, reference)
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]
    assert client.get_manifest(repository, reference).status_code in (400, 404)
    assert client.delete_manifest(repository, reference).status_code in (400, 404)


@pytest.mark.parametrize("reference", ["-leading", ".leading", "a" * 129, "sp ace", "ü", "a+b"])
def test_malformed_tag(client: RegistryClient, repository: str, pushed: Manifest, reference: str) -> None:
    refused = client.put_manifest(repository, pushed, reference)
    assert refused.status_code == 400
    assert error_codes(refused) == ["TAG_INVALID"]
    assert client.get_manifest(repository, reference).status_code in (400, 404)


@pytest.mark.parametrize("reference", ["_", "A.b-c_D", "a" * 128, "sha256-" + "0" * 64, "sha256-" + "0" * 64 + ".sig"])
def test_tags_of_every_shape(client: RegistryClient, repository: str, pushed: Manifest, reference: str) -> None:
    expect(client.put_manifest(repository, pushed, reference), 201)
    assert expect(client.get_manifest(repository, reference), 200).content == pushed.payload


def test_pushed_under_another_digest(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    padded = Manifest(pushed.payload + b"  ", pushed.media_type, pushed.blobs)
    refused = client.put_manifest(repository, padded, pushed.digest)
    assert refused.status_code == 400
    assert error_codes(refused) == ["DIGEST_INVALID"]
    assert client.get_manifest(repository, pushed.digest).content == pushed.payload
    expect(client.put_manifest(repository, padded), 201)
    assert client.get_manifest(repository, padded.digest).content == padded.payload, "bytes are kept as they came"


def test_blobs_must_be_there(client: RegistryClient, repository: str) -> None:
    """One error for each, so that a client can say which."""
    manifest = random_image(layers=2)
    client.push_blob(repository, manifest.blobs[1])
    errors = assert_refused(client, repository, manifest, "MANIFEST_BLOB_UNKNOWN")
    said = json.dumps(errors)
    for number, blob in enumerate(manifest.blobs):
        assert (blob.digest in said) is (number != 1), said


def test_blobs_of_another_repository_do_not_count(
    client: RegistryClient, repository: str, other_repository: str, pushed: Manifest
) -> None:
    client.push_blob(other_repository, random_blob())
    assert_refused(client, other_repository, pushed, "MANIFEST_BLOB_UNKNOWN")


def test_children_must_be_there(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    both = index([pushed, random_image()])
    said = json.dumps(assert_refused(client, repository, both, "MANIFEST_BLOB_UNKNOWN"))
    assert both.children[1].digest in said
    assert pushed.digest not in said


def test_index_of_blobs(client: RegistryClient, repository: str) -> None:
    """A BuildKit cache: the index names layers and a configuration, all of them blobs."""
    config = random_blob(media_type="application/vnd.buildkit.cacheconfig.v0")
    cache = index([random_layer(), random_layer(), config])
    assert_refused(client, repository, cache, "MANIFEST_BLOB_UNKNOWN")
    client.push(repository, cache, "cache")
    assert client.pull(repository, "cache").payload == cache.payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b'{"schemaVersion": 2',
        b"\xff\xfe{}",
        b'{"schemaVersion": 2, "schemaVersion": 2}',
        b'{"schemaVersion": NaN}',
        b"[" * 100_000,
        b'{"schemaVersion": 2, "config": "\\ud800"}',
    ],
    ids=["empty", "null", "array", "object", "text", "cut", "utf16", "twice", "nan", "deep", "surrogate"],
)
def test_broken_json(client: RegistryClient, repository: str, pushed: Manifest, payload: bytes) -> None:
    assert_refused(client, repository, Manifest(payload, OCI_MANIFEST))


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 1},
        {"schemaVersion": "2"},
        {"config": None},
        {"config": {"mediaType": "a/b", "digest": "sha256:short", "size": 1}},
        {"config": {"mediaType": "a/b", "digest": digest_of(b""), "size": -1}},
        {"config": {"mediaType": "a/b", "digest": digest_of(b""), "size": True}},
        {"config": {"mediaType": "a/b", "digest": digest_of(b"")}},
        {"layers": {}},
        {"layers": [{"mediaType": "a/b", "size": 1}]},
        {"manifests": []},
        {"mediaType": OCI_INDEX},
        {"mediaType": DOCKER_MANIFEST},
        {"annotations": ["x"]},
        {"subject": {"mediaType": "a/b", "digest": "x", "size": 1}},
    ],
    ids=lambda changes: ",".join(f"{key}={json.dumps(value)[:24]}" for key, value in changes.items()),
)
def test_malformed(client: RegistryClient, repository: str, pushed: Manifest, changes: dict[str, Any]) -> None:
    bad = Manifest(variant(pushed, **changes).payload, OCI_MANIFEST)
    (error,) = assert_refused(client, repository, bad)
    assert error["message"]


@pytest.mark.parametrize(
    "media_type",
    [
        OCI_INDEX,
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "text/plain",
        "application/json",
    ],
)
def test_media_type_that_does_not_fit(
    client: RegistryClient, repository: str, pushed: Manifest, media_type: str
) -> None:
    assert_refused(client, repository, Manifest(pushed.payload + b"\n", media_type))


def test_content_type_with_parameters_or_none(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    padded = Manifest(pushed.payload + b"\n", OCI_MANIFEST)
    for number, content_type in enumerate((f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST.upper(), "")):
        expect(client.put_manifest(repository, padded, f"t{number}", headers={"Content-Type": content_type}), 201)
        assert client.get_manifest(repository, f"t{number}").headers["Content-Type"] == OCI_MANIFEST


def test_size_limit(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    room = LIMIT - len(variant(pushed, annotations={"a": ""}).payload)
    largest = variant(pushed, annotations={"a": "x" * room})
    assert largest.size == LIMIT
    expect(client.put_manifest(repository, largest, "largest"), 201)
    assert client.get_manifest(repository, "largest").content == largest.payload
    too_large = variant(pushed, annotations={"a": "x" * (room + 1)})
    refused = client.put_manifest(repository, too_large, "too-large")
    assert refused.status_code == 413
    assert error_codes(refused)
    assert client.head_manifest(repository, "too-large").status_code == 404


def test_unicode(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    text = variant(pushed, annotations={"title": "Ünïcødé 🐳 \u0000", "org.example.κ": "值"})
    expect(client.put_manifest(repository, text, "unicode"), 201)
    assert client.get_manifest(repository, "unicode").content == text.payload


def test_tag_moves(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    """The old manifest stays, by its digest."""
    newer = client.push(repository, random_image(), "v1")
    assert client.get_manifest(repository, "v1").content == newer.payload
    assert client.get_manifest(repository, pushed.digest).content == pushed.payload
    assert client.tags(repository) == ["v1"]


def test_delete_by_tag_leaves_the_manifest_and_its_other_tags(
    client: RegistryClient, repository: str, pushed: Manifest
) -> None:
    expect(client.put_manifest(repository, pushed, "v2"), 201)
    expect(client.delete_manifest(repository, "v1"), 202)
    assert client.get_manifest(repository, "v1").status_code == 404
    assert client.get_manifest(repository, "v2").content == pushed.payload
    assert client.delete_manifest(repository, "v1").status_code == 404


def test_delete_by_digest_takes_every_tag(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    expect(client.put_manifest(repository, pushed, "v2"), 201)
    kept = client.push(repository, random_image(), "kept")
    expect(client.delete_manifest(repository, pushed.digest), 202)
    assert client.tags(repository) == ["kept"]
    assert client.get_manifest(repository, kept.digest).status_code == 200
    assert client.delete_manifest(repository, pushed.digest).status_code == 404
    client.push(repository, pushed, "again")
    assert client.pull(repository, "again").payload == pushed.payload


def test_same_layers_in_many_manifests(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    """Deleting one image takes nothing from another that shares its layers."""
    shared = variant(pushed, annotations={"a": "b"})
    client.push(repository, shared, "shared")
    expect(client.delete_manifest(repository, pushed.digest), 202)
    assert client.pull(repository, "shared").payload == shared.payload


def test_not_modified(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    for condition in (f'"{pushed.digest}"', pushed.digest):
        same = client.get_manifest(repository, "v1", **{"If-None-Match": condition})
        assert (same.status_code, same.content) == (304, b""), condition
    assert client.get_manifest(repository, "v1", **{"If-None-Match": '"other"'}).content == pushed.payload


def test_conditional_put(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    """Two clients that read, change and write one tag don't lose an update."""
    newer = client.push(repository, random_image())
    only_new = {"If-None-Match": "*"}
    assert client.put_manifest(repository, newer, "v1", headers=only_new).status_code == 412
    assert client.get_manifest(repository, "v1").content == pushed.payload
    expect(client.put_manifest(repository, newer, "fresh", headers=only_new), 201)
    stale = {"If-Match": f'"{newer.digest}"'}
    assert client.put_manifest(repository, newer, "v1", headers=stale).status_code == 412
    assert client.get_manifest(repository, "v1").content == pushed.payload
    expect(client.put_manifest(repository, newer, "v1", headers={"If-Match": f'"{pushed.digest}"'}), 201)
    assert client.get_manifest(repository, "v1").content == newer.payload


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ([], 200),
        (["*/*"], 200),
        ([OCI_MANIFEST], 200),
        ([OCI_INDEX, f"{OCI_MANIFEST};q=0.5"], 200),
        (["application/json"], 200),
        ([OCI_INDEX, DOCKER_LIST], 404),
    ],
)
def test_accept(client: RegistryClient, repository: str, pushed: Manifest, accept: list[str], status: int) -> None:
    """One digest is one representation: it is sent, or not, but never another."""
    answer = client.get_manifest(repository, "v1", accept)
    assert answer.status_code == status
    if status == 200:
        assert answer.content == pushed.payload
        assert answer.headers["Content-Type"] == OCI_MANIFEST
    else:
        assert error_codes(answer) == ["MANIFEST_UNKNOWN"]


def test_immutable_urls_only_by_digest(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    assert "immutable" in client.get_manifest(repository, pushed.digest).headers["Cache-Control"]
    assert "no-cache" in client.get_manifest(repository, "v1").headers["Cache-Control"]


def test_many_layers_and_many_children(client: RegistryClient, repository: str, pushed: Manifest) -> None:
    wide = image([pushed.blobs[1]] * 1000, config=pushed.blobs[0])
    expect(client.put_manifest(repository, wide, "wide"), 201)
    assert client.get_manifest(repository, "wide").content == wide.payload
    many = index([pushed, wide] * 500)
    expect(client.put_manifest(repository, many, "many"), 201)
    assert client.get_manifest(repository, "many").content == many.payload
