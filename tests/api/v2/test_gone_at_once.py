"""What readers have in mind because many pull it. On PostgreSQL and two machines: tests/e2e/test_full_stack.py."""

import pytest
import requests

from tests.support.client import RegistryClient, expect
from tests.support.demand import in_demand
from tests.support.oci import random_image, random_layer
from tests.support.stack import HavenServer


@pytest.mark.parametrize("way", ["tag", "manifest", "artifact by API", "repository by API"])
def test_what_many_pull_is_gone_when_the_delete_is_answered(
    haven: HavenServer, client: RegistryClient, repository: str, way: str
) -> None:
    project, _, name = repository.partition("/")
    api = f"{haven.url}/api/v2.0/projects/{project}/repositories/{name}"
    for _ in range(5):
        image = client.push(repository, random_image(1_000), "v1")
        with in_demand([client], repository, "v1") as answers_now:
            if way == "tag":
                expect(client.delete_manifest(repository, "v1"), 202)
            elif way == "manifest":
                expect(client.delete_manifest(repository, image.digest), 202)
            else:
                path = "" if way == "repository by API" else f"/artifacts/{image.digest}"
                expect(requests.delete(api + path, auth=(haven.admin_user, haven.admin_password), timeout=30), 200)
            assert answers_now() == {404}


def test_a_tag_that_many_pull_names_the_new_image_when_its_push_is_answered(
    client: RegistryClient, repository: str
) -> None:
    client.push(repository, random_image(1_000), "latest")
    for _ in range(5):
        with in_demand([client], repository, "latest"):
            image = client.push(repository, random_image(1_000), "latest")
            answers = [client.clone().head_manifest(repository, "latest") for _ in range(4)]
            assert {answer.headers["Docker-Content-Digest"] for answer in answers} == {image.digest}


def test_a_blob_that_many_pull_is_gone_when_the_delete_is_answered(client: RegistryClient, repository: str) -> None:
    for _ in range(5):
        blob = random_layer(1000)
        client.push_blob(repository, blob)
        digest = blob.digest
        for _ in range(20):
            assert client.head_blob(repository, digest).status_code == 200
        expect(client.delete_blob(repository, digest), 202)
        assert {client.clone().head_blob(repository, digest).status_code for _ in range(6)} == {404}
