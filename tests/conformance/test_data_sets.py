"""Every kind of content the specification knows: push, list, head, pull, referrers, delete.

The data sets of the official suite, by the same names, so that they are tried where there is no Go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.client import RegistryClient, error_codes, expect, location_of
from tests.support.oci import (
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Blob,
    Descriptor,
    Manifest,
    artifact,
    digest_of,
    foreign_layer,
    image,
    index,
    random_blob,
    random_image,
    random_layer,
)

CONFORMANCE = {"org.opencontainers.conformance": "hello conformance test"}
KIND = "application/vnd.example.oci.conformance.v1+json"
OTHER_KIND = "application/vnd.example.oci.conformance.v2+json"


@dataclass
class DataSet:
    """What to push: manifests in order, tags, and which manifests refer to which subject."""

    manifests: list[Manifest]
    tags: Mapping[str, Manifest] = field(default_factory=dict)
    referrers: Mapping[str, list[Manifest]] = field(default_factory=dict)


def two_platforms(**options: Any) -> list[Manifest]:
    return [random_image(architecture=name, **options) for name in ("amd64", "arm64")]


def single(manifest: Manifest, tag: str) -> DataSet:
    return DataSet([manifest], {tag: manifest})


def large_manifest() -> DataSet:
    """3.9 MB of annotations: below the 4 MiB every client and registry must bear."""
    annotations = {f"large-annotation-{number}": "A" * 10_000 for number in range(390)}
    return single(random_image(annotations=annotations), "large-manifest")


def nested_index() -> DataSet:
    return single(index([index(two_platforms()), index(two_platforms())]), "index-of-index")


def with_subject() -> DataSet:
    subject = random_image()
    referrers = [
        random_image(subject=subject),
        artifact([random_blob()], artifact_type=KIND, annotations=CONFORMANCE, subject=subject),
        artifact([random_blob()], artifact_type=OTHER_KIND, annotations=CONFORMANCE, subject=subject),
    ]
    tags = {"image": subject, "tagged-artifact1": referrers[1], "tagged-artifact2": referrers[2]}
    return DataSet([subject, *referrers], tags, {subject.digest: referrers})


def index_with_subject() -> DataSet:
    subject = index(two_platforms())
    typed = index(two_platforms(), subject=subject, artifact_type=KIND, annotations=CONFORMANCE)
    referrers = [typed, index([], subject=subject)]
    return DataSet([subject, *referrers], {"index": subject, "tagged": referrers[0]}, {subject.digest: referrers})


def missing_subject() -> DataSet:
    subject: Descriptor = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"missing content"), "size": 123}
    referrer = artifact([random_blob()], artifact_type=KIND, annotations=CONFORMANCE, subject=subject)
    return DataSet([referrer], {"tagged-artifact": referrer}, {str(subject["digest"]): [referrer]})


def data_field() -> DataSet:
    """Descriptors that carry their content inline."""
    config, layer = Blob(b"{}", "application/vnd.oci.empty.v1+json"), Blob(b"inline", KIND)
    layers = [layer.descriptor(data="aW5saW5l")]
    extra = {"config": config.descriptor(data="e30="), "layers": layers, "artifactType": KIND}
    return single(image([layer], config=config, extra=extra), "data-field")


def non_distributable() -> DataSet:
    layers = [foreign_layer(), foreign_layer(), random_layer()]
    return single(image(layers), "non-distributable-image")


def custom_fields() -> DataSet:
    extra = {"org.example.unknown": {"deep": [1, 2.5, None, "ü"]}}
    return single(index(two_platforms(extra=extra), extra=extra), "custom-fields")


DATA_SETS: dict[str, Callable[[], DataSet]] = {
    "image": lambda: single(random_image(layers=4), "image"),
    "image-uncompressed": lambda: single(image([random_layer(compress=False)]), "image-uncompressed"),
    "large-manifest": large_manifest,
    "index": lambda: single(index(two_platforms()), "index"),
    "nested-index": nested_index,
    "empty-index": lambda: single(index([]), "index"),
    "docker": lambda: single(random_image(docker=True), "docker"),
    "docker-list": lambda: single(index(two_platforms(docker=True), docker=True), "docker-list"),
    "artifact": lambda: single(artifact([random_blob(media_type=KIND)], artifact_type=KIND), "artifact"),
    "artifact-index": lambda: single(index([artifact([random_blob()])], artifact_type=KIND), "artifact-index"),
    "artifact-without-layers": lambda: single(artifact(artifact_type=KIND), "artifact-without-layers"),
    "artifacts-with-subject": with_subject,
    "index-with-subject": index_with_subject,
    "missing-subject": missing_subject,
    "data-field": data_field,
    "non-distributable-layers": non_distributable,
    "custom-fields": custom_fields,
    "no-layers": lambda: single(image([]), "no-layers"),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_life_of(client: RegistryClient, repository: str, name: str) -> None:
    data = DATA_SETS[name]()
    everything = {m.digest: m for root in data.manifests for m in root.manifests()}
    blobs = {blob.digest: blob for root in data.manifests for blob in root.all_blobs()}
    push(client, repository, list(everything.values()), blobs, data)
    for manifest in everything.values():
        assert_readable(client, repository, manifest, manifest.digest)
    for tag, manifest in data.tags.items():
        assert_readable(client, repository, manifest, tag)
    assert_listed(client, repository, sorted(data.tags))
    for subject, referrers in data.referrers.items():
        assert_referrers(client, repository, subject, referrers)
    delete(client, repository, list(everything.values()), blobs, data)


def push(
    client: RegistryClient,
    repository: str,
    manifests: list[Manifest],
    blobs: Mapping[str, Blob],
    data: DataSet,
) -> None:
    for blob in blobs.values():
        client.push_blob(repository, blob)
    for manifest in manifests:
        put(client, repository, manifest, None)
    for tag, manifest in data.tags.items():
        put(client, repository, manifest, tag)


def put(client: RegistryClient, repository: str, manifest: Manifest, tag: str | None) -> None:
    done = expect(client.put_manifest(repository, manifest, tag), 201)
    assert done.headers["Docker-Content-Digest"] == manifest.digest
    subject = manifest.document.get("subject")
    assert done.headers.get("OCI-Subject") == (subject["digest"] if subject else None)
    accept = {"Accept": manifest.media_type}
    assert expect(client.request("GET", location_of(done), headers=accept), 200).content == manifest.payload


def assert_readable(client: RegistryClient, repository: str, manifest: Manifest, reference: str) -> None:
    for answer in (client.get_manifest(repository, reference), client.head_manifest(repository, reference)):
        expect(answer, 200)
        assert answer.headers["Content-Type"] == manifest.media_type
        assert int(answer.headers["Content-Length"]) == manifest.size
        assert answer.headers["Docker-Content-Digest"] == manifest.digest
        assert answer.content == (b"" if answer.request.method == "HEAD" else manifest.payload)


def assert_listed(client: RegistryClient, repository: str, tags: list[str]) -> None:
    assert client.tags(repository) == tags
    if len(tags) > 1:
        half = len(tags) // 2
        assert client.list_tags(repository, last=tags[half - 1]).json()["tags"] == tags[half:]


def referrer_entry(manifest: Manifest) -> Descriptor:
    document = manifest.document
    entry: Descriptor = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size}
    kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
    if kind:
        entry["artifactType"] = kind
    if "annotations" in document:
        entry["annotations"] = document["annotations"]
    return entry


def assert_referrers(client: RegistryClient, repository: str, subject: str, referrers: list[Manifest]) -> None:
    expected = {manifest.digest: referrer_entry(manifest) for manifest in referrers}
    answer = expect(client.referrers(repository, subject), 200)
    assert answer.headers["Content-Type"] == OCI_INDEX
    body = answer.json()
    assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
    assert {entry["digest"]: entry for entry in body["manifests"]} == expected
    for kind in {entry["artifactType"] for entry in expected.values() if "artifactType" in entry}:
        filtered = expect(client.referrers(repository, subject, kind), 200)
        assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
        found = [entry["digest"] for entry in filtered.json()["manifests"]]
        assert sorted(found) == sorted(d for d, entry in expected.items() if entry.get("artifactType") == kind)


def delete(
    client: RegistryClient,
    repository: str,
    manifests: list[Manifest],
    blobs: Mapping[str, Blob],
    data: DataSet,
) -> None:
    """Tags, then manifests from the top, then blobs; each is gone at once. Untagged children may go with their parent."""
    roots = {manifest.digest for manifest in data.manifests}
    for tag, manifest in data.tags.items():
        expect(client.delete_manifest(repository, tag), 202)
        assert client.head_manifest(repository, tag).status_code == 404
        assert client.head_manifest(repository, manifest.digest).status_code == 200, "the tag alone was deleted"
    for manifest in reversed(manifests):
        expect(client.delete_manifest(repository, manifest.digest), 202, *(() if manifest.digest in roots else (404,)))
        missing = client.get_manifest(repository, manifest.digest)
        assert missing.status_code == 404
        assert error_codes(missing) == ["MANIFEST_UNKNOWN"]
    for subject in data.referrers:
        assert client.referrers(repository, subject).json()["manifests"] == []
    for digest in blobs:
        assert client.delete_blob(repository, digest).status_code in (202, 404)
        assert client.head_blob(repository, digest).status_code == 404
    assert client.list_tags(repository).json()["tags"] == []


def test_sha512(client: RegistryClient, repository: str) -> None:
    """Manifests and blobs named by sha512; tags would name them by sha256, so they come by parameter."""
    images = [image([random_layer(algorithm="sha512")], algorithm="sha512") for _ in range(2)]
    both = index(images, algorithm="sha512")
    for blob in both.all_blobs():
        client.push_blob(repository, blob)
    for manifest in both.manifests():
        done = expect(client.put_manifest(repository, manifest), 201)
        assert done.headers["Docker-Content-Digest"] == manifest.digest
        assert_readable(client, repository, manifest, manifest.digest)
    expect(client.delete_manifest(repository, both.digest), 202)
    for manifest in both.manifests():
        expect(client.delete_manifest(repository, manifest.digest), 202, 404)
        assert client.head_manifest(repository, manifest.digest).status_code == 404


def test_tag_parameters(client: RegistryClient, repository: str, algorithm: str) -> None:
    """One PUT by digest sets several tags, and says so."""
    manifest = image([random_layer(algorithm=algorithm)], algorithm=algorithm)
    for blob in manifest.all_blobs():
        client.push_blob(repository, blob)
    tags = [f"tag-{number}" for number in range(10)]
    done = expect(client.put_manifest(repository, manifest, tags=tags), 201)
    assert [tag.strip() for tag in done.headers["OCI-Tag"].split(",")] == tags
    for tag in tags:
        assert_readable(client, repository, manifest, tag)
    bad = random_image()
    client.push(repository, bad)
    refused = client.put_manifest(repository, bad, tags=["good", "b@d"])
    assert refused.status_code == 400
    assert client.head_manifest(repository, "good").status_code == 404, "all tags or none"


def test_uncompressed_layer_type() -> None:
    assert json.loads(image([random_layer(compress=False)]).payload)["layers"][0]["mediaType"] == OCI_LAYER
