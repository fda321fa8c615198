"""Stacks to do harm to: their own, never the one that the other tests share."""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.harm import HarmedStack
from tests.support.ledger import Ledger
from tests.support.postgres import PostgresMissing, PostgresServer, run_postgres
from tests.support.seaweedfs import SeaweedMissingError, run_seaweedfs


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="package")
def embedded() -> Iterator[HarmedStack]:
    """Everything on this machine: SQLite, files, one folder."""
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:
        stack = HarmedStack(Path(folder)).start()
        try:
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def stack(embedded: HarmedStack) -> HarmedStack:
    """The embedded stack with all its processes running, whatever the test before did to it."""
    if embedded.server is None:
        embedded.start()
    embedded.wait_running()
    return embedded


@pytest.fixture
def repository(stack: HarmedStack) -> str:
    """A repository in a project of the test's own."""
    return f"{stack.create_project(f'p{uuid.uuid4().hex[:12]}')}/app"


@dataclass
class Remote:
    """A stack whose database and storage are servers of their own, which can be harmed too."""

    stack: HarmedStack
    postgres: PostgresServer
    bucket: FaultProxy

    def restart_database(self, mode: str = "fast") -> None:
        """pg_ctl restart; `immediate` is a crash with recovery, `fast` cuts connections and stops in order."""
        self.control("restart", "-m", mode)

    def control(self, *words: str) -> None:
        command = [self.postgres.binaries / "pg_ctl", "-D", self.postgres.folder / "data", "-w", "-s"]
        log = self.postgres.folder / "restarted.log"  # by its own user
        user = "postgres" if os.geteuid() == 0 else None
        subprocess.run([*command, "-l", log, *words], check=True, user=user, cwd=self.postgres.folder, timeout=60)

    def sql(self, statement: str) -> str:
        command = [self.postgres.binaries / "psql", "-h", self.postgres.folder, "-U", "haven", "-d", "haven"]
        done = subprocess.run([*command, "-Atc", statement], check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()


@pytest.fixture(scope="package")
def remote() -> Iterator[Remote]:
    """Haven on PostgreSQL and SeaweedFS, the latter behind a proxy that breaks things."""
    with ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="hf-")))
        try:
            postgres = life.enter_context(run_postgres(fsync=True))
            (folder / "weed").mkdir()
            server = life.enter_context(run_seaweedfs(folder / "weed"))
        except (PostgresMissing, SeaweedMissingError) as missing:
            pytest.skip(str(missing))
        host, _, port = server.endpoint.removeprefix("http://").partition(":")
        bucket = FaultProxy((host, int(port)))
        life.callback(bucket.close)
        environment = {
            "HAVEN_DATABASE_URL": postgres.url,
            "HAVEN_STORAGE_URL": f"s3://{server.bucket}?endpoint={bucket.endpoint}&region=us-east-1&timeout=5",
            "HAVEN_S3_ACCESS_KEY": server.access_key,
            "HAVEN_S3_SECRET_KEY": server.secret_key,
        }
        found = Remote(HarmedStack(folder, environment=environment), postgres, bucket)
        life.callback(found.control, "stop", "-m", "immediate")  # a restarted server is no child of ours
        found.stack.start()
        life.callback(found.stack.stop)

        yield found


@pytest.fixture
def remote_repository(remote: Remote) -> str:
    """A repository in a project of the test's own."""
    return f"{remote.stack.create_project(f'p{uuid.uuid4().hex[:12]}')}/app"
