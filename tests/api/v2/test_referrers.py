"""The referrers API (distribution-spec end-12, "Listing Referrers")."""

from __future__ import annotations

import pytest

from tests.api.v2.checks import check
from tests.support.client import RegistryClient
from tests.support.oci import (
    EMPTY_JSON,
    OCI_INDEX,
    Manifest,
    absent_digest,
    artifact,
    image,
    index,
    random_blob,
    random_image,
)

SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature"


def listed(client: RegistryClient, repository: str, digest: str, *types: str) -> list[dict]:  # type: ignore[type-arg]
    """All pages; each within 4 MiB."""
    found = []
    answer = client.request("GET", f"/v2/{repository}/referrers/{digest}", params=[("artifactType", t) for t in types])
    while True:
        check(answer, 200)
        assert answer.headers["Content-Type"] == OCI_INDEX
        assert answer.headers.get("OCI-Filters-Applied") == ("artifactType" if types else None)
        assert len(answer.content) <= 4 * 1024 * 1024
        document = answer.json()
        assert (document["schemaVersion"], document["mediaType"]) == (2, OCI_INDEX)
        found += document["manifests"]
        if "next" not in answer.links:
            return found
        assert answer.links["next"]["url"].startswith(f"/v2/{repository}/referrers/")
        answer = client.request("GET", answer.links["next"]["url"])


def descriptor(manifest: Manifest, artifact_type: str) -> dict:  # type: ignore[type-arg]
    found = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": manifest.size}
    if artifact_type:
        found["artifactType"] = artifact_type
    if annotations := manifest.document.get("annotations"):
        found["annotations"] = annotations
    return found


def test_none(client: RegistryClient, repository: str) -> None:
    assert listed(client, repository, absent_digest()) == []  # not even a repository
    subject = client.push(repository, random_image())
    for digest in (subject.digest, absent_digest(), absent_digest("sha512"), "sha256:" + "0" * 64):
        assert listed(client, repository, digest) == []
    head = client.request("HEAD", f"/v2/{repository}/referrers/{subject.digest}")
    assert check(head, 200).headers["Content-Type"] == OCI_INDEX


@pytest.mark.parametrize("digest", ["sha256:abc", "nodigest", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_what_is_no_digest(client: RegistryClient, repository: str, digest: str) -> None:
    check(client.referrers(repository, digest), 400, "DIGEST_INVALID")


def test_descriptors_and_filter(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image(), "v1")
    sbom = artifact(subject=subject, artifact_type=SBOM, annotations={"made": "today"})
    signature = artifact([random_blob(9)], subject=subject, artifact_type=SIGNATURE)
    config_typed = image([], config=EMPTY_JSON, subject=subject)
    plain_index = index([], subject=subject)
    typed_index = index([], subject=subject, artifact_type=SBOM)
    referrers = [
        (sbom, SBOM),
        (signature, SIGNATURE),
        (config_typed, EMPTY_JSON.media_type),
        (plain_index, ""),
        (typed_index, SBOM),
    ]
    for manifest, _ in referrers:
        for blob in manifest.blobs:
            client.push_blob(repository, blob)
        answer = check(client.put_manifest(repository, manifest), 201)
        assert answer.headers["OCI-Subject"] == subject.digest
    client.push(repository, artifact(subject=random_image(), artifact_type=SBOM))  # of another
    expected = [descriptor(manifest, kind) for manifest, kind in referrers]
    assert listed(client, repository, subject.digest) == expected
    assert listed(client, repository, subject.digest, SBOM) == [expected[0], expected[4]]
    assert listed(client, repository, subject.digest, SBOM, SIGNATURE) == [expected[0], expected[1], expected[4]]
    assert listed(client, repository, subject.digest, "no/such") == []
    assert listed(client, repository, subject.digest, EMPTY_JSON.media_type) == [expected[2]]
    unfiltered = client.request("GET", f"/v2/{repository}/referrers/{subject.digest}?artifactType=")
    assert len(check(unfiltered, 200).json()["manifests"]) == 5


def test_subject_after_its_referrers_and_gone_again(client: RegistryClient, repository: str) -> None:
    subject = random_image()
    referrer = client.push(repository, artifact(subject=subject, artifact_type=SBOM), "sbom")
    assert [one["digest"] for one in listed(client, repository, subject.digest)] == [referrer.digest]
    client.push(repository, subject, "v1")
    check(client.delete_manifest(repository, subject.digest), 202)
    assert [one["digest"] for one in listed(client, repository, subject.digest)] == [referrer.digest]
    check(client.delete_manifest(repository, "sbom"), 202)  # the tag: the referrer stays
    assert len(listed(client, repository, subject.digest)) == 1
    check(client.delete_manifest(repository, referrer.digest), 202)
    assert listed(client, repository, subject.digest) == []


def test_a_delete_takes_no_referrers_and_a_new_push_finds_them(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image(), "v1")
    referrers = [client.push(repository, artifact(subject=subject, artifact_type=kind)) for kind in (SBOM, SIGNATURE)]
    signature = client.push(repository, random_image(), subject.digest.replace(":", "-") + ".sig")
    check(client.delete_manifest(repository, subject.digest), 202)
    check(client.get_manifest(repository, "v1"), 404, "MANIFEST_UNKNOWN")
    for manifest in (*referrers, signature):
        check(client.get_manifest(repository, manifest.digest), 200)
    client.push(repository, subject, "v1")
    assert [one["digest"] for one in listed(client, repository, subject.digest)] == [one.digest for one in referrers]


def test_only_of_this_repository(client: RegistryClient, project: str) -> None:
    subject = random_image()
    client.push(f"{project}/one", artifact(subject=subject))
    client.push(f"{project}/two", subject)
    assert listed(client, f"{project}/two", subject.digest) == []


def test_sha512_subject(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image(algorithm="sha512"))
    referrer = client.push(repository, artifact(subject=subject))
    assert [one["digest"] for one in listed(client, repository, subject.digest)] == [referrer.digest]


def test_pages_stay_below_four_mebibytes(client: RegistryClient, repository: str) -> None:
    subject = client.push(repository, random_image())
    client.push_blob(repository, EMPTY_JSON)
    pushed = []
    for number in range(6):
        kind = SBOM if number % 2 else SIGNATURE
        annotations = {"number": str(number), "filler": "x" * 1_400_000}
        manifest = artifact(subject=subject, artifact_type=kind, annotations=annotations)
        check(client.put_manifest(repository, manifest), 201)
        pushed.append(manifest)
    first = client.referrers(repository, subject.digest)
    assert first.links["next"]["rel"] == "next"
    found = listed(client, repository, subject.digest)
    assert [one["digest"] for one in found] == [one.digest for one in pushed]
    assert [one["annotations"]["number"] for one in found] == [str(n) for n in range(6)]
    filtered = listed(client, repository, subject.digest, SBOM)
    assert [one["digest"] for one in filtered] == [one.digest for one in pushed[1::2]]


@pytest.mark.parametrize("last", ["x", "-1", "9" * 40, "1.0"])
def test_a_page_nobody_named(client: RegistryClient, repository: str, last: str) -> None:
    client.push(repository, random_image())
    answer = client.request("GET", f"/v2/{repository}/referrers/{absent_digest()}", params={"last": last})
    check(answer, 400, "PAGINATION_NUMBER_INVALID")


def test_nul_in_the_filter(client: RegistryClient, repository: str) -> None:
    client.push(repository, random_image())
    answer = client.request("GET", f"/v2/{repository}/referrers/{absent_digest()}?artifactType=a%00b")
    check(answer, 400, "UNSUPPORTED")
