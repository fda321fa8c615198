"""Nothing is acknowledged before the disk has it: the system calls of a push, in their order."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import expect, location_of
from tests.support.harm import HarmedStack, eventually
from tests.support.oci import random_blob, random_image
from tests.support.tools import requires

pytestmark = requires("strace")
CALLS = "fsync,fdatasync,rename,renameat,renameat2,write,writev,sendto,sendmsg"


@contextmanager
def traced(pids: list[int], output: Path) -> Iterator[None]:
    """strace of these processes with all their threads while the block runs."""
    targets = [word for pid in pids for word in ("-p", str(pid))]
    command = ["strace", "-f", "-yy", "-s", "200", "-e", f"trace={CALLS}", "-o", str(output), *targets]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        for _ in pids:
            line = tracer.stderr.readline()
            if "attached" not in line:
                pytest.skip(f"strace can't attach to a process here: {line.strip()}")
        time.sleep(0.2)
        yield
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)


@pytest.mark.parametrize("way", ["put", "patch"])
def test_bytes_and_row_are_on_disk_before_the_answer(
    stack: HarmedStack, repository: str, tmp_path: Path, way: str
) -> None:
    """fsync of the staged file, rename, fsync of its folder, fsync of the database; only then 201. A 202 waits for the
    bytes alone: the state of a session is nothing that a client was promised (transactions.run_write)."""
    client = stack.client()
    client.push_blob(repository, random_blob())  # folders are made once for an installation, tokens known
    blob = random_blob(300_000)
    location = location_of(expect(client.start_upload(repository), 202))
    log = tmp_path / "calls"
    with traced(stack.workers_of("uploads"), log):
        if way == "patch":
            expect(client.patch(location, blob.data), 202)
        expect(client.finish_upload(location, blob.digest, b"" if way == "patch" else blob.data), 201)
        eventually(lambda: "201 Created" in log.read_text(errors="replace"))
    calls = _completed(log.read_text(errors="replace"))

    staged = _first(calls, r"f(data)?sync\(\d+<[^>]*\.upload")
    renamed = _first(calls, r"rename\w*\(.*\.upload.*blobs/")
    folder = _first(calls, r"fsync\(\d+<[^>]*/blobs/[0-9a-f]{2}>")
    published = _last(calls, r"f(data)?sync\(\d+<[^>]*haven\.sqlite3-wal")
    answer = _first(calls, r"(write|writev|sendto|sendmsg)\(.*HTTP/1\.1 201")
    assert staged < renamed < folder < published < answer, "\n".join(calls)
    if way == "patch":
        assert staged < _first(calls, r"HTTP/1\.1 202") < renamed, "\n".join(calls)


def test_manifest_is_on_disk_before_the_answer(stack: HarmedStack, repository: str, tmp_path: Path) -> None:
    client = stack.client()
    first, second = random_image(), random_image()
    client.push(repository, first, "first")
    for blob in second.all_blobs():
        client.push_blob(repository, blob)
    log = tmp_path / "calls"
    with traced(stack.workers_of("uploads"), log):
        expect(client.put_manifest(repository, second, "second"), 201)
        eventually(lambda: "201 Created" in log.read_text(errors="replace"))
    calls = _completed(log.read_text(errors="replace"))

    assert _last(calls, r"f(data)?sync\(\d+<[^>]*haven\.sqlite3-wal") < _first(calls, r"HTTP/1\.1 201")


def _completed(text: str) -> list[str]:
    """Calls in the order in which they returned; a call another thread interrupted stands where it was resumed."""
    started: dict[str, str] = {}
    calls = []
    for line in text.splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            started[thread] = call.removesuffix("<unfinished ...>")
        elif match := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            calls.append(started.pop(thread, "") + match[1])
        else:
            calls.append(call)
    return calls


def _first(calls: list[str], pattern: str) -> int:
    found = [number for number, call in enumerate(calls) if re.search(pattern, call)]
    assert found, f"no call like {pattern}:\n" + "\n".join(calls)
    return found[0]


def _last(calls: list[str], pattern: str) -> int:
    end = _first(calls, r"HTTP/1\.1 201")
    found = [number for number, call in enumerate(calls[:end]) if re.search(pattern, call)]
    assert found, f"no call like {pattern}:\n" + "\n".join(calls)
    return found[-1]
