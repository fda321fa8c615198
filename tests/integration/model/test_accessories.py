"""An artifact and its accessories are deleted, restored and copied together, or not at all."""

import pytest

from haven_core.domain.origin import Origin
from haven_core.domain.selectors import Selector
from haven_core.errors import QuotaExceeded, TagImmutable
from haven_core.models import ProjectQuota
from haven_core.policies import immutability
from haven_registry.models import Manifest, Tag
from haven_registry.oci import media_types
from haven_registry.services.artifacts import copy_with_accessories, delete_artifact
from haven_registry.services.delete import delete_manifest
from haven_registry.services.restore import restore_manifest
from tests.support.documents import descriptor, image, index
from tests.support.site import Site


def sign(site: Site, subject: str) -> tuple[str, str, str]:
    """A referrer, a referrer of that, and a signature by Cosign's tag."""
    referrer = site.push(b"r", subject={"mediaType": "x/y", "digest": subject, "size": 1}, artifactType="x/sbom")
    second = site.push(b"s", subject={"mediaType": "x/y", "digest": referrer, "size": 1}, artifactType="x/sig")
    layer = descriptor(media_types.COSIGN_SIGNATURE, site.upload(b"signed"))
    signature = site.push(b"c", subject.replace(":", "-") + ".sig", layers=[layer])
    return referrer, second, signature


def live() -> set[str]:
    return set(Manifest.objects.filter(deleted_at=None).values_list("digest", flat=True))


def copy(site: Site, digest: str, repository: int, project: int) -> None:
    copy_with_accessories(
        source_repository_id=site.repository, digest=digest, manifest_id=Manifest.objects.get(digest=digest).pk,
        repository_id=repository, project_id=project, origin=Origin("anne"),
    )  # fmt: skip


def test_accessories_go_and_come_back_with_their_artifact(site: Site):
    digest = site.push(b"a", "v1")
    below = sign(site, digest)
    delete_artifact(repository_id=site.repository, digest=digest, origin=Origin("anne"))
    assert live() == set()
    assert set(Manifest.objects.values_list("deleted_by", flat=True)) == {"anne"}
    restored = restore_manifest(repository_id=site.repository, digest=digest)
    assert restored == sorted(["v1", digest.replace(":", "-") + ".sig"])
    assert live() == {digest, *below}


def test_an_accessory_that_was_deleted_before_stays_in_the_trash(site: Site):
    digest = site.push(b"a", "v1")
    referrer, second, signature = sign(site, digest)
    delete_manifest(repository_id=site.repository, digest=second)
    delete_artifact(repository_id=site.repository, digest=digest)
    restore_manifest(repository_id=site.repository, digest=digest)
    assert live() == {digest, referrer, signature}


def test_an_accessory_that_an_index_names_stays(site: Site):
    digest = site.push(b"a", "v1")
    referrer, second, signature = sign(site, digest)
    top = site.put(index(referrer), "top").digest
    delete_artifact(repository_id=site.repository, digest=digest)
    assert live() == {referrer, second, top}
    restore_manifest(repository_id=site.repository, digest=digest)
    assert live() == {digest, referrer, second, signature, top}


def test_an_immutable_tag_of_an_accessory_keeps_all(site: Site):
    digest = site.push(b"a", "v1")
    below = sign(site, digest)
    anything = Selector("doublestar", "repoMatches", "**")
    immutability.create_rule(
        project_id=site.first, repository=anything, tag=Selector("doublestar", "matches", "sha256-*")
    )
    with pytest.raises(TagImmutable):
        delete_artifact(repository_id=site.repository, digest=digest)
    assert live() == {digest, *below}
    assert site.tag("v1") == digest


def test_a_copy_carries_accessories_and_their_tags(site: Site):
    digest = site.push(b"a", "v1", "v2")
    below = sign(site, digest)
    target = site.new_repository(site.second, "copy")
    copy(site, digest, target, site.second)
    assert set(Manifest.objects.filter(repository_id=target).values_list("digest", flat=True)) == {digest, *below}
    names = Tag.objects.filter(repository_id=target).values_list("name", flat=True)
    assert set(names) == {"v1", "v2", digest.replace(":", "-") + ".sig"}


def test_a_copy_whose_accessory_does_not_fit_copies_nothing(site: Site):
    digest = site.push(b"a", "v1")
    site.put(image(site.upload(b"x" * 5000), subject={"mediaType": "x/y", "digest": digest, "size": 1}))
    target = site.new_repository(site.second, "copy")
    ProjectQuota.objects.filter(project_id=site.second).update(hard_bytes=3000)
    with pytest.raises(QuotaExceeded):
        copy(site, digest, target, site.second)
    assert (Manifest.objects.filter(repository_id=target).count(), site.used(site.second)) == (0, 0)
