"""The drivers under test."""

import os
import pathlib
import uuid
from collections.abc import Iterator

import pytest
from haven_registry.storage import StorageDriver, open_storage

from tests.support.seaweedfs import SeaweedMissingError, SeaweedServer, run_seaweedfs


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One S3 server for the whole run; tests take a prefix of their own in its bucket."""
    try:
        with run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
            yield server
    except SeaweedMissingError as missing:
        if os.environ.get("HAVEN_REQUIRE_SERVICES"):
            raise
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
