"""A project deleted and made again under its name: the processes that take pushes may remember the old one for seconds."""

from concurrent.futures import ThreadPoolExecutor

import requests

from tests.api.v2.backstage import Backstage
from tests.support.client import RegistryClient, expect
from tests.support.oci import random_image
from tests.support.stack import HavenServer

PUSHERS = 12  # more than there are processes


def push_at_once(client: RegistryClient, repository: str) -> None:
    """Each on a connection of its own, so that all processes have a part in it."""
    images = [random_image(1_000) for _ in range(PUSHERS)]
    with ThreadPoolExecutor(PUSHERS) as pool:
        pushes = [
            pool.submit(client.clone().push, repository, image, f"v{number}") for number, image in enumerate(images)
        ]
    for push in pushes:
        push.result()


def test_pushes_go_on(haven: HavenServer, backstage: Backstage, client: RegistryClient, repository: str) -> None:
    project, _, name = repository.partition("/")
    api, auth = f"{haven.url}/api/v2.0", (haven.admin_user, haven.admin_password)
    for _ in range(3):
        push_at_once(client, repository)
        expect(requests.delete(f"{api}/projects/{project}/repositories/{name}", auth=auth, timeout=30), 200)
        expect(requests.delete(f"{api}/projects/{project}", auth=auth, timeout=30), 200)
        expect(requests.post(f"{api}/projects", json={"project_name": project}, auth=auth, timeout=30), 201)
    push_at_once(client, repository)
    assert backstage.ask("fsck") == []
    listed = requests.get(f"{api}/projects/{project}/repositories", auth=auth, timeout=30).json()
    assert [(found["name"], found["artifact_count"]) for found in listed] == [(repository, PUSHERS)]
    assert requests.get(f"{api}/projects/{project}/summary", auth=auth, timeout=30).json()["quota"]["used"]["storage"]
