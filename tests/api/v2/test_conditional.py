"""Conditional requests on manifests (RFC 9110, 13): pulls that cost nothing, pushes that lose no update."""

from __future__ import annotations

import threading

import pytest

from tests.api.v2.backstage import Backstage
from tests.api.v2.checks import check
from tests.support.client import RegistryClient
from tests.support.oci import absent_digest, image, random_image, random_layer
from tests.support.stack import HavenServer


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by_digest", [False, True], ids=["tag", "digest"])
@pytest.mark.parametrize("spelling", ['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*"])
def test_not_modified(client: RegistryClient, repository: str, spelling: str, by_digest: bool, method: str) -> None:
    manifest = client.push(repository, random_image(), "v1")
    path = f"/v2/{repository}/manifests/{manifest.digest if by_digest else 'v1'}"
    answer = check(client.request(method, path, headers={"If-None-Match": spelling.format(manifest.digest)}), 304)
    assert answer.headers["ETag"] == f'"{manifest.digest}"'
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    assert answer.content == b""
    check(client.request(method, path, headers={"If-None-Match": f'"{absent_digest()}"'}), 200)


def test_not_modified_ends_when_the_tag_moves(client: RegistryClient, repository: str) -> None:
    first = client.push(repository, random_image(), "v1")
    second = client.push(repository, random_image(), "v1")
    answer = client.get_manifest(repository, "v1", **{"If-None-Match": f'"{first.digest}"'})
    assert check(answer, 200).content == second.payload


def test_if_match(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    first, second = client.push(repository, random_image(), "v1"), client.push(repository, random_image())
    with backstage.nothing_stored(project):
        for header in (f'"{second.digest}"', f'"{absent_digest()}"', '"x", "y"'):
            answer = client.put_manifest(repository, second, "v1", headers={"If-Match": header})
            check(answer, 412, "DENIED")
        new = client.put_manifest(repository, second, "v2", headers={"If-Match": "*"})
        check(new, 412, "DENIED")
    assert client.get_manifest(repository, "v1").content == first.payload
    check(client.put_manifest(repository, second, "v1", headers={"If-Match": f'"x", "{first.digest}"'}), 201)
    assert client.get_manifest(repository, "v1").content == second.payload
    check(client.put_manifest(repository, first, "v1", headers={"If-Match": "*"}), 201)


def test_if_none_match(client: RegistryClient, backstage: Backstage, project: str, repository: str) -> None:
    first, second = client.push(repository, random_image()), client.push(repository, random_image())
    check(client.put_manifest(repository, first, "v1", headers={"If-None-Match": "*"}), 201)
    with backstage.nothing_stored(project):
        for header in ("*", f'"{first.digest}"'):
            check(client.put_manifest(repository, second, "v1", headers={"If-None-Match": header}), 412, "DENIED")
    check(client.put_manifest(repository, second, "v1", headers={"If-None-Match": f'"{second.digest}"'}), 201)


def test_a_refused_condition_stores_no_new_manifest(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    layer = random_layer()
    client.push(repository, image([layer]), "v1")
    manifest = image([layer], annotations={"new": "yes"})
    with backstage.nothing_stored(project):
        check(client.put_manifest(repository, manifest, "v1", headers={"If-None-Match": "*"}), 412, "DENIED")
        check(client.head_manifest(repository, manifest.digest), 404)


def test_conditions_hold_for_every_tag_or_none_moves(
    client: RegistryClient, backstage: Backstage, project: str, repository: str
) -> None:
    client.push(repository, random_image(), "taken")
    manifest = client.push(repository, random_image())
    with backstage.nothing_stored(project):
        answer = client.put_manifest(repository, manifest, tags=["free", "taken"], headers={"If-None-Match": "*"})
        check(answer, 412, "DENIED")
    check(client.put_manifest(repository, manifest, tags=["free"], headers={"If-None-Match": "*"}), 201)


def test_of_many_creators_one_wins(haven: HavenServer, client: RegistryClient, repository: str) -> None:
    manifests = [client.push(repository, random_image(50)) for _ in range(4)]
    clients = [haven.client() for _ in manifests]
    statuses: list[int] = []

    def create(one: RegistryClient, number: int) -> None:
        headers = {"If-None-Match": "*"}
        statuses.append(one.put_manifest(repository, manifests[number], "new", headers=headers).status_code)

    threads = [threading.Thread(target=create, args=(one, number)) for number, one in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 412, 412, 412]
