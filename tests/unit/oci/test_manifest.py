"""Manifests as clients push them."""

import copy
import json
from typing import Any

import pytest

from haven_registry.oci import media_types
from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.manifest import MAX_MANIFEST_BYTES, ParsedManifest, parse_manifest
from haven_registry.oci.media_types import (
    BUILDKIT_CACHE_CONFIG,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

Json = dict[str, Any]
REMOVED = object()


def descriptor(number: int, media_type: str, **members: Any) -> Json:
    return {"mediaType": media_type, "digest": f"sha256:{number:064x}", "size": number, **members}


def image(**members: Any) -> Json:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(1, OCI_CONFIG),
        "layers": [descriptor(2, OCI_LAYER_GZIP), descriptor(3, OCI_LAYER_GZIP)],
        **members,
    }
    return {name: value for name, value in document.items() if value is not REMOVED}


def index(**members: Any) -> Json:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            descriptor(4, OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
            descriptor(5, OCI_MANIFEST, platform={"os": "linux", "architecture": "arm", "variant": "v7"}),
        ],
        **members,
    }
    return {name: value for name, value in document.items() if value is not REMOVED}


def parse(document: Json, content_type: str | None = None) -> ParsedManifest:
    return parse_manifest(json.dumps(document).encode(), content_type)


def refusal(document: Json, content_type: str | None = None) -> ManifestInvalid:
    with pytest.raises(ManifestInvalid) as refused:
        parse(document, content_type)
    return refused.value


def sizes(manifest: ParsedManifest) -> list[tuple[str, int]]:
    return [(role, blob.size) for role, blob in manifest.required_blobs]


def test_an_image() -> None:
    manifest = parse(image(annotations={"a": "b"}), OCI_MANIFEST)

    assert manifest.media_type == OCI_MANIFEST
    assert manifest.artifact_type == OCI_CONFIG
    assert manifest.declared_artifact_type == ""
    assert manifest.config is not None
    assert str(manifest.config.digest) == f"sha256:{1:064x}"
    assert sizes(manifest) == [("config", 1), ("layer", 2), ("layer", 3)]
    assert manifest.child_manifests == ()
    assert manifest.total_size == 6
    assert manifest.annotations == {"a": "b"}
    assert manifest.subject is None


def test_an_index() -> None:
    manifest = parse(index(), OCI_INDEX)

    assert manifest.media_type == OCI_INDEX
    assert manifest.artifact_type == ""
    assert manifest.config is None
    assert manifest.required_blobs == ()
    assert [child.size for child in manifest.child_manifests] == [4, 5]
    platform = manifest.child_manifests[1].platform
    assert platform is not None
    assert (platform.os, platform.architecture, platform.variant, platform.os_version) == ("linux", "arm", "v7", "")
    assert manifest.total_size == 0


@pytest.mark.parametrize(
    ("document", "content_type", "expected"),
    [
        (image(), OCI_MANIFEST, OCI_MANIFEST),
        (image(), f"{OCI_MANIFEST.upper()}; charset=utf-8", OCI_MANIFEST),
        (image(), None, OCI_MANIFEST),
        (image(), "", OCI_MANIFEST),
        (image(mediaType=DOCKER_MANIFEST), None, DOCKER_MANIFEST),
        (image(mediaType=REMOVED), OCI_MANIFEST, OCI_MANIFEST),
        (image(mediaType=REMOVED), DOCKER_MANIFEST, DOCKER_MANIFEST),
        (image(mediaType=REMOVED), None, OCI_MANIFEST),
        (image(mediaType=None), None, OCI_MANIFEST),
        (image(mediaType=""), None, OCI_MANIFEST),
        (index(mediaType=DOCKER_MANIFEST_LIST), DOCKER_MANIFEST_LIST, DOCKER_MANIFEST_LIST),
        (index(mediaType=REMOVED), None, OCI_INDEX),
        (index(mediaType=REMOVED, manifests=[]), None, OCI_INDEX),
    ],
)
def test_the_media_type_is_found(document: Json, content_type: str | None, expected: str) -> None:
    assert parse(document, content_type).media_type == expected


@pytest.mark.parametrize(
    ("document", "content_type", "path", "message"),
    [
        (image(), OCI_INDEX, "$.mediaType", "differs"),
        (image(), DOCKER_MANIFEST, "$.mediaType", "differs"),
        (image(), "application/json", "$.mediaType", "differs"),
        (image(mediaType=OCI_MANIFEST.upper()), OCI_MANIFEST, "$.mediaType", "differs"),
        (image(mediaType=f"{OCI_MANIFEST} "), OCI_MANIFEST, "$.mediaType", "differs"),
        (image(mediaType=REMOVED), "application/json", "$.mediaType", f"supported are {DOCKER_MANIFEST_LIST}, "),
        (image(mediaType="application/vnd.oci.artifact.manifest.v1+json"), None, "$.mediaType", "not a supported"),
        (image(mediaType=REMOVED, config=REMOVED, layers=REMOVED), None, "$", "no media type"),
        (image(mediaType=7), None, "$.mediaType", "not a media type"),
        (image(manifests=[]), OCI_MANIFEST, "$.manifests", "an image cannot have manifests"),
        (image(mediaType=REMOVED, manifests=[]), None, "$.manifests", "cannot have"),
        (image(mediaType=REMOVED, manifests=[]), OCI_INDEX, "$.config", "an index cannot have config"),
        (index(layers=[]), None, "$.layers", "an index cannot have layers"),
        (image(mediaType=REMOVED), OCI_INDEX, "$.config", "an index cannot have config"),
        (index(mediaType=REMOVED), OCI_MANIFEST, "$.manifests", "an image cannot have manifests"),
        (image(Manifests=[]), None, "$", "'Manifests'"),
        (index(LAYERS=[]), None, "$", "'LAYERS'"),
        ({**image(), "manife\u017fts": []}, None, "$", "some clients read"),
        (image(mediaType=REMOVED, MediaType=OCI_INDEX), None, "$", "'MediaType'"),
    ],
)
def test_a_document_has_one_reading(document: Json, content_type: str | None, path: str, message: str) -> None:
    error = refusal(document, content_type)

    assert error.json_path == path
    assert error.detail["path"] == path
    assert message in error.message


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(schemaVersion=1), None),
        (image(schemaVersion=1), OCI_MANIFEST),
        (image(mediaType=media_types.DOCKER_SCHEMA1), None),
        (image(mediaType=REMOVED), media_types.DOCKER_SCHEMA1),
        (image(mediaType=REMOVED), media_types.DOCKER_SCHEMA1_SIGNED),
        (image(fsLayers=[]), OCI_MANIFEST),
        ({"schemaVersion": 1, "name": "a", "fsLayers": [], "history": []}, None),
    ],
)
def test_schema_1_is_refused(document: Json, content_type: str | None) -> None:
    assert refusal(document, content_type).message == "schema 1 is not supported"


@pytest.mark.parametrize("version", [REMOVED, None, 0, 3, "2", 2.0, True, [2]])
def test_other_schema_versions_are_refused(version: object) -> None:
    assert refusal(image(schemaVersion=version)).json_path == "$.schemaVersion"


@pytest.mark.parametrize("layers", [REMOVED, None, []])
def test_an_image_without_layers(layers: object) -> None:
    manifest = parse(image(layers=layers))

    assert manifest.layers == ()
    assert sizes(manifest) == [("config", 1)]


@pytest.mark.parametrize("manifests", [None, []])
def test_an_index_without_manifests(manifests: object) -> None:
    assert parse(index(manifests=manifests)).manifests == ()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (image(config=REMOVED), "$.config"),
        (image(config=None), "$.config"),
        (image(config=[]), "$.config"),
        (image(config={}), "$.config.digest"),
        (image(layers={}), "$.layers"),
        (image(layers="x"), "$.layers"),
        (image(layers=[descriptor(1, "a/b"), None]), "$.layers[1]"),
        (index(manifests=REMOVED), "$.manifests"),
        (index(manifests={}), "$.manifests"),
        (index(manifests=[{"digest": f"sha256:{1:064x}", "size": 1}]), "$.manifests[0].mediaType"),
        (image(subject=[]), "$.subject"),
        (image(subject={}), "$.subject.digest"),
        (image(annotations=[]), "$.annotations"),
        (image(annotations={"a": 1}), "$.annotations"),
        (image(annotations={"a": None}), "$.annotations"),
        (image(artifactType=1), "$.artifactType"),
        (image(artifactType="a/b\n"), "$.artifactType"),
        (image(artifactType="a/b\0"), "$.artifactType"),
        (image(artifactType="a" * 256), "$.artifactType"),
    ],
)
def test_a_wrong_member_is_named(document: Json, path: str) -> None:
    error = refusal(document)

    assert error.json_path == path
    assert error.code == "MANIFEST_INVALID"


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"digest": None}, "digest"),
        ({"digest": 1}, "digest"),
        ({"digest": "sha256:bad"}, "digest"),
        ({"digest": "sha256:" + "A" * 64}, "digest"),
        ({"digest": "sha384:" + "a" * 96}, "digest"),
        ({"digest": f"sha256:{1:064x}\0"}, "digest"),
        ({"size": None}, "size"),
        ({"size": -1}, "size"),
        ({"size": 1.0}, "size"),
        ({"size": True}, "size"),
        ({"size": "1"}, "size"),
        ({"size": 2**63}, "size"),
        ({"mediaType": 1}, "mediaType"),
        ({"mediaType": "a/b\0"}, "mediaType"),
        ({"artifactType": []}, "artifactType"),
        ({"data": 1}, "data"),
        ({"urls": "https://example.org"}, "urls"),
        ({"urls": [1]}, "urls[0]"),
        ({"annotations": {"a": 1}}, "annotations"),
        ({"platform": []}, "platform"),
        ({"platform": {"os": 1}}, "platform.os"),
    ],
)
@pytest.mark.parametrize("place", ["$.config", "$.layers[1]", "$.subject", "$.manifests[1]"])
def test_a_wrong_descriptor_is_named(place: str, members: Json, member: str) -> None:
    document = copy.deepcopy(index() if "manifests" in place else image(subject=descriptor(9, OCI_MANIFEST)))
    target = document[place[2:].partition("[")[0]]
    (target[1] if "[" in place else target).update(members)

    assert refusal(document).json_path == f"{place}.{member}"


def test_a_descriptor_member_in_another_spelling_is_refused() -> None:
    assert refusal(image(config=descriptor(1, OCI_CONFIG, Digest="x"))).json_path == "$.config"


def test_optional_descriptor_members() -> None:
    layer = {
        "digest": f"sha256:{2:064x}", "size": 0, "data": "e30=", "urls": ["https://example.org/a\0"], "platform": None,
        "annotations": {"a\0": "\0b"}, "artifactType": "a/b", "org.example.custom": [{"x": 1.5}],
    }  # fmt: skip
    (read,) = parse(image(layers=[layer])).layers

    assert read.media_type == ""
    assert read.urls == ("https://example.org/a\ufffd",)
    assert read.annotations == {"a\ufffd": "\ufffdb"}
    assert read.artifact_type == "a/b"
    assert read.platform is None


@pytest.mark.parametrize(
    ("document", "effective", "declared"),
    [
        (image(), OCI_CONFIG, ""),
        (image(artifactType="application/vnd.example"), "application/vnd.example", "application/vnd.example"),
        (image(config=descriptor(2, media_types.HELM_CONFIG)), media_types.HELM_CONFIG, ""),
        (index(), "", ""),
        (index(artifactType="application/vnd.example"), "application/vnd.example", "application/vnd.example"),
    ],
)
def test_artifact_types(document: Json, effective: str, declared: str) -> None:
    manifest = parse(document)

    assert (manifest.artifact_type, manifest.declared_artifact_type) == (effective, declared)


@pytest.mark.parametrize("document", [image, index])
def test_a_subject_of_any_kind(document: Any) -> None:
    subject = {"digest": "sha512:" + "a" * 128, "size": 5}

    manifest = parse(document(subject=subject))

    assert manifest.subject is not None
    assert str(manifest.subject.digest) == subject["digest"]
    assert manifest.total_size == parse(document()).total_size


@pytest.mark.parametrize("media_type", sorted(media_types.NON_DISTRIBUTABLE))
@pytest.mark.parametrize("urls", [{}, {"urls": ["https://example.org/layer"]}])
def test_non_distributable_layers_are_not_required(media_type: str, urls: Json) -> None:
    manifest = parse(image(layers=[descriptor(7, media_type, **urls), descriptor(2, OCI_LAYER_GZIP)]))

    assert sizes(manifest) == [("config", 1), ("layer", 2)]
    assert [layer.size for layer in manifest.layers] == [7, 2]


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST_LIST])
def test_build_cache_is_an_index_of_blobs(media_type: str) -> None:
    cache = index(
        mediaType=media_type,
        manifests=[
            descriptor(10, OCI_LAYER_GZIP, annotations={"buildkit/createdat": "2026-01-01T00:00:00Z"}),
            descriptor(11, BUILDKIT_CACHE_CONFIG),
            descriptor(12, OCI_MANIFEST),
        ],
    )

    manifest = parse(cache, media_type)

    assert sizes(manifest) == [("child", 10), ("child", 11)]
    assert [child.size for child in manifest.child_manifests] == [12]


def test_repeated_content_keeps_its_places() -> None:
    layers = parse(image(layers=[descriptor(2, OCI_LAYER_GZIP)] * 3))
    named = [
        descriptor(n, OCI_MANIFEST, platform={"os": os}) for n, os in ((5, "a"), (4, "b"), (5, "c"), (4, "d"), (6, "e"))
    ]
    children = parse(index(manifests=named))

    assert sizes(layers) == [("config", 1), ("layer", 2), ("layer", 2), ("layer", 2)]
    assert len(children.manifests) == 5
    assert [(child.size, child.platform and child.platform.os) for child in children.child_manifests] == [
        (5, "a"),
        (4, "b"),
        (6, "e"),
    ]


def test_sizes_that_overflow_are_refused() -> None:
    huge = {**descriptor(2, OCI_LAYER_GZIP), "size": 2**62}

    assert parse(image(layers=[huge])).total_size == 2**62 + 1
    assert refusal(image(layers=[huge, huge])).json_path == "$.layers"


def test_unknown_members_and_unicode_are_tolerated() -> None:
    manifest = parse(image(annotations={"title": "🚀 é"}, **{"org.ABC": "x", "platform": {"os": "linux"}}))

    assert manifest.annotations == {"title": "🚀 é"}


def test_a_large_manifest_of_the_conformance_suite() -> None:
    annotations = {f"org.example.{n}": "x" * 10_000 for n in range(390)}
    document = image(annotations=annotations)
    assert 3_900_000 < len(json.dumps(document)) < MAX_MANIFEST_BYTES

    assert parse(document).annotations == annotations


def test_a_thousand_layers_and_five_thousand_children() -> None:
    layers = [descriptor(n, OCI_LAYER_GZIP) for n in range(1000)]
    reference = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": "sha256:" + "0" * 64,
    }
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    children = [descriptor(n, OCI_MANIFEST, platform=platform, annotations=reference) for n in range(5000)]

    assert len(parse(image(layers=layers)).required_blobs) == 1001
    assert len(parse(index(manifests=children)).child_manifests) == 5000
