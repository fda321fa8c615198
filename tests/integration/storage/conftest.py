"""The drivers under test."""

import pathlib
import uuid
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from haven_registry.storage import StorageDriver, open_storage
from tests.integration.storage.broken_s3 import BUCKET, open_driver
from tests.integration.storage.fault_proxy import FaultProxy, run_fault_proxy
from tests.support.seaweedfs import SeaweedMissingError, SeaweedServer, run_seaweedfs


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One S3 server for the whole run; tests take a prefix of their own in its bucket."""
    try:
        with run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
            yield server
    except SeaweedMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["memory", "filesystem", "s3"])
def driver(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> StorageDriver:
    """Every driver in turn, empty."""
    if request.param == "memory":
        return open_storage("memory://")
    if request.param == "filesystem":
        return open_storage(str(tmp_path / "root"))
    server: SeaweedServer = request.getfixturevalue("seaweedfs")
    return open_storage(
        f"s3://{server.bucket}/{uuid.uuid4().hex}?endpoint={server.endpoint}&region=us-east-1&redirect=true",
        access_key=server.access_key,
        secret_key=server.secret_key,
    )


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """The filesystem driver's root; not there yet."""
    return tmp_path / "root"


@pytest.fixture
def filesystem(root: pathlib.Path) -> StorageDriver:
    """The filesystem driver at `root`."""
    return open_storage(str(root))


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    """Host and port of a simulated S3 server with the bucket BUCKET."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    client.create_bucket(Bucket=BUCKET)
    yield host, port
    server.stop()


@pytest.fixture
def proxy(moto: tuple[str, int]) -> Iterator[FaultProxy]:
    """A proxy before it that breaks requests as told."""
    with run_fault_proxy(*moto) as running:
        yield running


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries as always, without the seconds between."""
    from botocore.retries.standard import ExponentialBackoff

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


@pytest.fixture
def breakable_s3(proxy: FaultProxy) -> StorageDriver:
    """The S3 driver behind the proxy, empty."""
    return open_driver(proxy.endpoint)
