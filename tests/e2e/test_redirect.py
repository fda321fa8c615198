"""Blobs on S3 with `redirect=true`: the registry says who may, the store sends the bytes."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.support.client import error_codes, expect
from tests.support.oci import absent_digest, random_blob, random_image, read_layout, write_layout
from tests.support.seaweedfs import SeaweedMissingError, SeaweedServer, run_seaweedfs
from tests.support.stack import HavenServer, running_haven
from tests.support.tools import Sandbox, requires


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    try:
        with run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
            yield server
    except SeaweedMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def redirecting(store: SeaweedServer) -> Iterator[HavenServer]:
    environment = {
        "HAVEN_STORAGE_URL": f"s3://{store.bucket}/h?endpoint={store.endpoint}&region=us-east-1&redirect=true",
        "HAVEN_S3_ACCESS_KEY": store.access_key,
        "HAVEN_S3_SECRET_KEY": store.secret_key,
    }
    with running_haven(environment=environment) as server:
        yield server


def test_a_get_is_sent_to_the_store(redirecting: HavenServer, store: SeaweedServer) -> None:
    client, blob = redirecting.client(), random_blob(300_000)
    expect(client.push_blob("library/redirect", blob), 201)
    path = f"/v2/library/redirect/blobs/{blob.digest}"
    answer = client.request("GET", path, allow_redirects=False)
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["Docker-Content-Digest"] == blob.digest
    target = answer.headers["Location"]
    assert target.startswith(f"{store.endpoint}/{store.bucket}/h/blobs/")
    assert blob.digest.partition(":")[2] not in target
    [seconds] = parse_qs(urlsplit(target).query)["X-Amz-Expires"]
    assert 300 <= int(seconds) <= 1200

    assert expect(requests.get(target, timeout=30), 200).content == blob.data  # without the registry's token
    part = expect(requests.get(target, headers={"Range": "bytes=1000-1999"}, timeout=30), 206)
    assert part.content == blob.data[1000:2000]
    assert requests.get(target.replace("Signature=", "Signature=0"), timeout=30).status_code == 403
    assert requests.delete(target, timeout=30).status_code == 403


def test_what_is_not_sent_there(redirecting: HavenServer) -> None:
    """HEAD, which a URL signed for GET would refuse; manifests; errors; 304."""
    client, pushed = redirecting.client(), random_image()
    client.push("library/redirect", pushed, "v1")
    layer = pushed.blobs[-1]
    path = f"/v2/library/redirect/blobs/{layer.digest}"
    head = client.request("HEAD", path, allow_redirects=False)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(layer.size))
    assert client.request("GET", path, headers={"If-None-Match": f'"{layer.digest}"'}).status_code == 304
    manifest = client.request("GET", "/v2/library/redirect/manifests/v1", allow_redirects=False)
    assert (manifest.status_code, manifest.content) == (200, pushed.payload)
    absent = client.get_blob("library/redirect", absent_digest())
    assert (absent.status_code, error_codes(absent)) == (404, ["BLOB_UNKNOWN"])
    nobody = requests.get(redirecting.url + path, allow_redirects=False, timeout=30)
    assert nobody.status_code == 401
    assert "Location" not in nobody.headers


def test_no_log_holds_a_signed_address(redirecting: HavenServer) -> None:
    client, blob = redirecting.client(), random_blob(1000)
    expect(client.push_blob("library/redirect", blob), 201)
    assert expect(client.get_blob("library/redirect", blob.digest), 200).content == blob.data
    assert redirecting.data_dir is not None
    logs = [path.read_text(errors="replace") for path in (redirecting.data_dir / "log").iterdir()]
    assert logs
    assert not [text for text in logs if "X-Amz-Signature" in text]


@requires("skopeo")
def test_skopeo_follows(redirecting: HavenServer, sandbox: Sandbox, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "out", {"v1": random_image(50_000, layers=2)})
    target = f"docker://{redirecting.host_port}/library/followed:v1"
    credentials = f"{redirecting.admin_user}:{redirecting.admin_password}"
    copy = ["skopeo", "copy", "--insecure-policy"]
    sandbox.run(*copy, "--dest-tls-verify=false", "--dest-creds", credentials, f"oci:{layout}:v1", target)
    sandbox.run(*copy, "--src-tls-verify=false", target, f"oci:{tmp_path / 'in'}:v1")
    assert read_layout(tmp_path / "in") == read_layout(layout)
