"""A layer much larger than memory goes in and out, and no process of the stack grows with it."""

import hashlib
import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.support.client import expect, location_of
from tests.support.harm import HarmedStack, rss_bytes

MIB = 2**20
GIB = 2**30
CHUNK = 256 * MIB  # of the chunked push
LIMIT = 250 * MIB
NEEDED = 20 * GIB
_BLOCK = hashlib.shake_256(b"haven").digest(MIB)


class Layer:
    """`size` bytes that are nowhere in memory: each MiB is a block that begins with its own number."""

    def __init__(self, size: int, nonce: int) -> None:
        self.size = size
        self.nonce = nonce
        hasher = hashlib.sha256()
        for piece in self.pieces(0, size):
            hasher.update(piece)
        self.digest = f"sha256:{hasher.hexdigest()}"

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes of whole MiB."""
        for number in range(start // MIB, end // MIB):
            yield f"{self.nonce:08}{number:024}".encode() + _BLOCK[32:]


class Sized:
    """An iterator with a length, so that requests sends Content-Length."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces, self._size = pieces, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class Watch:
    """The largest resident size of each process of the stack while the block runs."""

    def __init__(self, stack: HarmedStack) -> None:
        self._pids = stack.pids
        self._stop = threading.Event()
        self.largest: dict[int, int] = dict.fromkeys(self._pids, 0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for pid in self._pids:
                self.largest[pid] = max(self.largest[pid], rss_bytes(pid))


SIZES = [
    pytest.param(1 * GIB, id="1GiB"),
    pytest.param(10 * GIB, id="10GiB", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]


@pytest.mark.parametrize("size", SIZES)
def test_big_layer_in_constant_memory(stack: HarmedStack, repository: str, size: int) -> None:
    """Pushed by one PUT and by PATCHes of 256 MiB, pulled back and compared."""
    if shutil.disk_usage(stack.data_dir).free < NEEDED:
        pytest.skip(f"less than {NEEDED // GIB} GB of disk are free")
    client = stack.client(timeout=900)
    whole, chunked = Layer(size, 1), Layer(size, 2)
    with Watch(stack) as watch:
        location = location_of(expect(client.start_upload(repository), 202))
        body = Sized(whole.pieces(0, size), size)
        expect(client.finish_upload(location, whole.digest, body), 201)  # type: ignore[arg-type]
        location = location_of(expect(client.start_upload(repository), 202))
        for start in range(0, size, CHUNK):
            part = Sized(chunked.pieces(start, start + CHUNK), CHUNK)
            answer = client.patch(location, part, f"{start}-{start + CHUNK - 1}")  # type: ignore[arg-type]
            location = location_of(expect(answer, 202))
        expect(client.finish_upload(location, chunked.digest), 201)
        for layer in (whole, chunked):
            with client.request("GET", f"/v2/{repository}/blobs/{layer.digest}", stream=True) as answer:
                assert answer.status_code == 200
                hasher = hashlib.sha256()
                for piece in answer.iter_content(MIB):
                    hasher.update(piece)
                assert f"sha256:{hasher.hexdigest()}" == layer.digest
    sizes = {pid: largest // MIB for pid, largest in watch.largest.items()}
    print(f"largest resident sizes in MiB: {sorted(sizes.values())}")
    assert max(watch.largest.values()) < LIMIT, sizes
    for layer in (whole, chunked):
        expect(client.delete_blob(repository, layer.digest), 202)
    stack.assert_clean()
