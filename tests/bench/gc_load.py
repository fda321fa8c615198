"""What clients feel of garbage collection: an open loop of requests, in windows with a collection and without.

    python -m tests.bench.gc_load                          200,000 manifests, 500,000 blobs, five windows of each kind
    python -m tests.bench.gc_load --manifests 5000 --blobs 20000 --garbage 4000 --rounds 2

Starts `haven up` on a PostgreSQL of its own, fills it, finds the capacity (as many manifest GETs, then small pushes, as
eight clients get answered), and then asks at 30 % of it, half of that by each kind, whatever the answers take. Latency
counts from when a request was due. In every second window a garbage collection started by the API has blobs to collect.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.client import RegistryClient, expect
from tests.support.harm import HarmedStack
from tests.support.oci import OCI_MANIFEST, encode, image, random_layer
from tests.support.postgres import PostgresServer, run_postgres

CLIENTS = 8
SHARE = 0.3  # of the capacity
REPOSITORY = "load/app"
NO_GRACE = {"HAVEN_RESTORE_WINDOW_DAYS": "0", "HAVEN_GC_GRACE_HOURS": "0"}
DAY = 86_400
FILL_LIMIT = 1800.0  # seconds
FINAL = ("Success", "Error", "Stopped")


def main() -> int:
    """Print the figures, a line each window, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifests", type=int, default=200_000)
    parser.add_argument("--blobs", type=int, default=500_000)
    parser.add_argument("--garbage", type=int, default=100_000, help="of the blobs, those to collect in all windows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one window")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hb-") as folder, run_postgres(fsync=True) as postgres:
        environment = {**NO_GRACE, "HAVEN_DATABASE_URL": postgres.url}
        stack = HarmedStack(Path(folder), environment=environment).start()
        try:
            _fill(stack, options)
            _measure(stack, postgres, options)
        finally:
            stack.stop()
    return 0


class Connection:
    """One kept-alive connection that sends requests and reads answers with a length."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self.address, self.token = address, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, status: int, body: bytes = b"", content_type: str = "") -> str:
        """The Location of the answer, or "". Raises AssertionError for another status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self.address)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n"
        head += (
            f"Content-Length: {len(body)}\r\nAccept: {OCI_MANIFEST}\r\nContent-Type: {content_type or 'a/b'}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in answer[1:])}
        await reader.readexactly(int(headers.get("content-length", 0)))
        assert answer[0].split()[1] == str(status), f"{method} {path}: {answer[0]}"
        return headers.get("location", "")


class Load:
    """The two kinds of request, on connections that take turns."""

    def __init__(self, stack: HarmedStack) -> None:
        client = stack.client()
        stack.create_project(REPOSITORY.split("/")[0])
        layer = random_layer(1000)
        self.images = [client.push(REPOSITORY, image([layer], command=[str(number)])) for number in range(50)]
        self.config = self.images[0].all_blobs()[0].descriptor()
        self.numbers = itertools.count()
        token = _token(client, stack.url)
        self._make = lambda: Connection(stack.address, token)

    async def get(self, connection: Connection) -> None:
        digest = self.images[next(self.numbers) % len(self.images)].digest
        await connection.ask("GET", f"/v2/{REPOSITORY}/manifests/{digest}", 200)

    async def push(self, connection: Connection) -> None:
        """A new layer of 1 KiB and an image with it, under a new tag: one that moves waits, which would hide the rest."""
        data = os.urandom(1024)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        location = await connection.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", 202)
        parts = urlsplit(location)
        path = f"{parts.path}?{parts.query}{'&' if parts.query else ''}digest={digest}"
        await connection.ask("PUT", path, 201, data)
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(data)}
        body = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": self.config, "layers": [layer]})
        await connection.ask("PUT", f"/v2/{REPOSITORY}/manifests/push{next(self.numbers)}", 201, body, OCI_MANIFEST)

    async def capacity(self, request: Callable[[Connection], Awaitable[None]], seconds: float) -> float:
        """Requests a second that CLIENTS get answered."""
        end, done = time.monotonic() + seconds, 0

        async def client() -> None:
            nonlocal done
            connection = self._make()
            while time.monotonic() < end:
                await request(connection)
                done += 1

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return done / seconds

    async def open_loop(
        self, request: Callable[[Connection], Awaitable[None]], rate: float, seconds: float
    ) -> list[float]:
        """Latencies in ms, each from the moment the request was due."""
        free: list[Connection] = []
        found: list[float] = []

        async def one(due: float) -> None:
            connection = free.pop() if free else self._make()
            await request(connection)
            free.append(connection)
            found.append((time.monotonic() - due) * 1000)

        begin, running = time.monotonic(), set()
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(one(due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        return found

    async def window(self, rates: tuple[float, float], seconds: float) -> tuple[float, float]:
        """p99 in ms of GETs and of pushes."""
        both = await asyncio.gather(
            self.open_loop(self.get, rates[0], seconds), self.open_loop(self.push, rates[1], seconds)
        )
        gets, pushes = (statistics.quantiles(latencies, n=100)[98] for latencies in both)
        return gets, pushes


def _fill(stack: HarmedStack, options: argparse.Namespace) -> None:
    """Rows and files; what is to be collected is not due before tomorrow."""
    code = f"from tests.bench import gc; gc.seed({options.manifests}, {options.blobs}, {options.garbage}, due_in={DAY})"
    done = stack.command("-c", code, extra={"DJANGO_SETTINGS_MODULE": "haven_project.settings"}, limit=FILL_LIMIT)
    assert done.returncode == 0, done.stderr


def _measure(stack: HarmedStack, postgres: PostgresServer, options: argparse.Namespace) -> None:
    load = Load(stack)
    capacities = [asyncio.run(load.capacity(request, 4)) for request in (load.get, load.push)]
    print("capacity: {:.0f} manifest GETs or {:.0f} small pushes a second".format(*capacities))
    rates = (capacities[0] * SHARE / 2, capacities[1] * SHARE / 2)
    rises: list[tuple[float, float]] = []
    for _ in range(options.rounds):
        without = asyncio.run(load.window(rates, options.seconds))
        path = _collect(stack, postgres, options.garbage // options.rounds)
        during = asyncio.run(load.window(rates, options.seconds))
        was_running = stack.api("GET", path).json()["job_status"] not in FINAL
        while stack.api("GET", path).json()["job_status"] not in FINAL:
            time.sleep(0.2)
        print(
            f"p99 without / with collection: GET {without[0]:.1f} / {during[0]:.1f} ms, "
            f"push {without[1]:.1f} / {during[1]:.1f} ms{'' if was_running else ' (it ended before the window)'}"
        )
        rises.append((during[0] / without[0], during[1] / without[1]))
    gets, pushes = (100 * (statistics.median(rise) - 1) for rise in zip(*rises, strict=True))
    print(f"median rise of p99: manifest GET {gets:+.0f} %, small push {pushes:+.0f} %")


def _collect(stack: HarmedStack, postgres: PostgresServer, number: int) -> str:
    """Make some garbage due and start a collection; the path of its run."""
    _sql(
        postgres,
        "UPDATE repository_blob SET review_at = now(), keep_until = now() WHERE id IN (SELECT id FROM repository_blob "
        f"WHERE review_at > now() + interval '2 hours' AND keep_until = review_at LIMIT {number})",
    )
    body = {"schedule": {"type": "Manual"}, "parameters": {"delete_untagged": False, "workers": 1, "dry_run": False}}
    answer = expect(stack.api("POST", "/system/gc/schedule", json=body), 201)
    return answer.headers["Location"].removeprefix("/api/v2.0")


def _token(client: RegistryClient, url: str) -> str:
    answer = client.token(f"{url}/service/token", "haven-registry", [f"repository:{REPOSITORY}:pull,push"])
    return str(expect(answer, 200).json()["token"])


def _sql(postgres: PostgresServer, statement: str) -> None:
    command = [postgres.binaries / "psql", "-h", postgres.folder, "-U", "haven", "-d", "haven", "-Atc", statement]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    sys.exit(main())
