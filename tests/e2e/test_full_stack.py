"""The same product past one machine: PostgreSQL, a Redis of its own, S3; and two of it side by side."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.client import expect
from tests.support.demand import in_demand
from tests.support.oci import digest_of, index, random_image
from tests.support.postgres import run_postgres
from tests.support.seaweedfs import run_seaweedfs
from tests.support.stack import HavenServer, child_environment, running_haven
from tests.support.tools import requires

pytestmark = requires("postgres")
SECRET = "one secret key for every machine of this test"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with run_postgres() as postgres, run_seaweedfs(tmp_path_factory.mktemp("s3")) as s3:
        yield {
            "HAVEN_DATABASE_URL": postgres.url,
            "HAVEN_STORAGE_URL": f"s3://{s3.bucket}/full?endpoint={s3.endpoint}&path_style=true",
            "HAVEN_S3_ACCESS_KEY": s3.access_key,
            "HAVEN_S3_SECRET_KEY": s3.secret_key,
            "HAVEN_SECRET_KEY": SECRET,
            "HAVEN_ADMIN_PASSWORD": "Full-stack-1",
        }


@pytest.fixture(scope="module")
def first(settings: dict[str, str]) -> Iterator[HavenServer]:
    with running_haven(environment=settings) as server:
        yield server


@pytest.fixture(scope="module")
def second(settings: dict[str, str], first: HavenServer) -> Iterator[HavenServer]:
    with running_haven(environment=settings) as server:
        yield server


def test_what_one_takes_the_other_gives(first: HavenServer, second: HavenServer) -> None:
    both = index([random_image(30_000, layers=2), random_image(30_000, layers=2, architecture="arm64")])
    pushing, pulling = (server.client("admin", "Full-stack-1") for server in (first, second))
    pushing.push("library/shared", both, "v1")
    assert pulling.pull("library/shared", "v1").payload == both.payload
    assert pulling.tags("library/shared") == ["v1"]


def test_a_delete_on_one_is_a_404_on_the_other_at_once(first: HavenServer, second: HavenServer) -> None:
    image = random_image(10_000)
    here, there = (server.client("admin", "Full-stack-1") for server in (first, second))
    here.push("library/gone", image, "v1")
    assert there.head_manifest("library/gone", "v1").status_code == 200
    there.delete_manifest("library/gone", image.digest)
    assert here.head_manifest("library/gone", "v1").status_code == 404
    assert here.head_manifest("library/gone", image.digest).status_code == 404


@pytest.mark.parametrize("way", ["tag", "manifest", "artifact by API", "repository by API"])
def test_what_many_pull_is_gone_everywhere_when_the_delete_is_answered(
    first: HavenServer, second: HavenServer, way: str
) -> None:
    here, there = (server.client("admin", "Full-stack-1") for server in (first, second))
    api = f"{first.url}/api/v2.0/projects/library/repositories/wanted"
    for _ in range(5):
        image = here.push("library/wanted", random_image(1_000), "v1")
        with in_demand([here, there], "library/wanted", "v1") as answers_now:
            if way == "tag":
                expect(here.delete_manifest("library/wanted", "v1"), 202)
            elif way == "manifest":
                expect(here.delete_manifest("library/wanted", image.digest), 202)
            else:
                path = "" if way == "repository by API" else f"/artifacts/{image.digest}"
                expect(requests.delete(api + path, auth=("admin", "Full-stack-1"), timeout=30), 200)
            assert answers_now() == {404}


def test_a_tag_that_many_pull_names_the_new_image_everywhere_when_its_push_is_answered(
    first: HavenServer, second: HavenServer
) -> None:
    clients = [server.client("admin", "Full-stack-1") for server in (first, second)]
    clients[0].push("library/moved", random_image(1_000), "latest")
    for _ in range(5):
        with in_demand(clients, "library/moved", "latest"):
            image = clients[0].push("library/moved", random_image(1_000), "latest")
            for client in clients:
                answers = [client.clone().head_manifest("library/moved", "latest") for _ in range(4)]
                assert {answer.headers["Docker-Content-Digest"] for answer in answers} == {image.digest}


def test_a_token_of_one_opens_the_other(first: HavenServer, second: HavenServer) -> None:
    here = first.client("admin", "Full-stack-1")
    token = here.request("GET", "/service/token", params={"scope": "repository:library/shared:pull"}).json()["token"]
    answer = second.anonymous().request("GET", "/v2/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_an_upload_begun_on_one_ends_on_the_other(first: HavenServer, second: HavenServer) -> None:
    here, there = (server.client("admin", "Full-stack-1") for server in (first, second))
    data = b"0123456789" * 700_000
    digest = digest_of(data)
    location = here.start_upload("library/moving").headers["Location"]
    location = here.patch(location, data[:6_000_000]).headers["Location"]
    location = there.patch(location, data[6_000_000:]).headers["Location"]
    assert there.finish_upload(location, digest).status_code == 201
    assert here.get_blob("library/moving", digest).content == data


def test_every_invariant_holds(first: HavenServer, settings: dict[str, str], tmp_path: Path) -> None:
    environment = child_environment({**settings, "HAVEN_DATA_DIR": str(tmp_path)})
    checked = subprocess.run(
        [sys.executable, "-m", "haven_project.cli", "fsck"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
