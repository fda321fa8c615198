"""A private PostgreSQL for tests: one server process on a Unix socket, everything below one folder.

From a shell, to run anything on it:  python -m tests.support.postgres pytest tests/integration/model
"""

import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_START_SECONDS = 30.0
_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 120
shared_buffers = 128MB
max_wal_size = 2GB
deadlock_timeout = 200ms
log_lock_waits = on
fsync = {fsync}
"""


class PostgresMissing(Exception):
    """The server is not installed; its message says what to install."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server. `url` is the HAVEN_DATABASE_URL of an empty database."""

    url: str
    folder: pathlib.Path
    binaries: pathlib.Path

    def create_database(self, name: str) -> str:
        """An empty database; returns its URL."""
        command = [self.binaries / "createdb", "-h", self.folder, "-U", "haven", name]
        subprocess.run(command, check=True, capture_output=True)
        return _url(self.folder, name)


def find_binaries() -> pathlib.Path:
    """The folder of the newest server. Raises: PostgresMissing."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if folders:
        return folders[-1].parent
    if found := shutil.which("postgres"):
        return pathlib.Path(found).resolve().parent
    raise PostgresMissing("no PostgreSQL server: apt-get install postgresql")


@contextmanager
def run_postgres(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """Start a server in a new folder below /tmp (socket paths must be short), stop it and remove the folder at the end.

    Superuser of this machine: the server runs as user postgres, since it refuses root. It ends when this process dies.
    Raises: PostgresMissing; RuntimeError with the log's end when it doesn't come up.
    """
    binaries = find_binaries()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="haven-pg-", dir="/tmp"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data, log = folder / "data", folder / "server.log"
    server = None
    try:
        initdb = [binaries / "initdb", "-D", data, "-U", "haven", "-A", "trust", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(folder=folder, fsync="on" if fsync else "off"))
        with log.open("wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data], user=user, cwd=folder, stdout=output, stderr=output,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
        _wait(server, binaries, folder, log)
        ready = PostgresServer(_url(folder, "haven"), folder, binaries)
        ready.create_database("haven")
        yield ready
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # "fast": open connections are cut
            server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _url(folder: pathlib.Path, name: str) -> str:
    return f"postgresql://haven@/{name}?host={folder}"


def _wait(server: "subprocess.Popen[bytes]", binaries: pathlib.Path, folder: pathlib.Path, log: pathlib.Path) -> None:
    end = time.monotonic() + _START_SECONDS
    probe = [binaries / "pg_isready", "-q", "-h", folder]
    while server.poll() is None and time.monotonic() < end:
        if subprocess.run(probe, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start:\n" + log.read_text()[-2000:])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: also when the test run is killed


def main() -> int:
    """Run the command line's words with HAVEN_DATABASE_URL set; the exit code is the command's."""
    with run_postgres() as server:
        environment = {**os.environ, "HAVEN_DATABASE_URL": server.url}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
