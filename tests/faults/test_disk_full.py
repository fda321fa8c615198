"""The disk of the blobs full, then the disk of everything else: refused in words, nothing torn, and well again after."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.client import error_codes, expect, location_of, range_end
from tests.support.harm import HarmedStack, eventually
from tests.support.ledger import Ledger, PatientClient
from tests.support.oci import Manifest, image, random_blob, random_image

MIB = 2**20
BLOBS, DATA = 24 * MIB, 64 * MIB  # the sizes of the two disks


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes at `folder`."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("not root, and mounting a small disk needs it")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"not root, and mounting a small disk needs it: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte left on the disk while the block runs."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (MIB, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * piece)
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture(scope="module")
def small() -> Iterator[HarmedStack]:
    """Blobs on one small disk, the data folder with database, broker and logs on another."""
    with ExitStack() as life:
        folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="hf-")))
        blobs = life.enter_context(small_disk(folder / "blobs", BLOBS))
        life.enter_context(small_disk(folder / "data", DATA))
        stack = HarmedStack(folder, environment={"HAVEN_STORAGE_URL": f"file://{blobs}/storage"}).start()
        life.callback(stack.stop)
        yield stack


@pytest.fixture
def repository(small: HarmedStack) -> str:
    small.wait_running()
    name = f"p{os.urandom(6).hex()}"
    return f"{small.create_project(name)}/app"


def blobs_of(stack: HarmedStack) -> Path:
    return stack.data_dir.parent / "blobs"


@pytest.mark.parametrize("way", ["patch", "put", "stream"])
def test_blobs_disk_full(small: HarmedStack, repository: str, ledger: Ledger, way: str) -> None:
    """507 in JSON with the words that stop docker; the session stays where it was; the rest goes on."""
    client = small.client()
    patient = PatientClient(client, ledger, attempts=1)
    patient.push(repository, random_image(MIB), "before")
    big = random_blob(BLOBS)
    location = location_of(expect(client.start_upload(repository), 202))
    if way == "put":
        refused = client.finish_upload(location, big.digest, big.data)
    else:
        refused = client.patch(location, iter([big.data]) if way == "stream" else big.data)
    assert refused.status_code == 507
    assert error_codes(refused) == ["UNKNOWN"]
    assert "no space left on device" in refused.text
    client.session.close()  # the gateway may hang up on a body that it was no longer to send on
    assert expect(client.upload_status(location), 204).headers["Range"] == "0-0"

    ledger.verify(client)  # what is stored can be read
    expect(client.push_blob(repository, random_blob(MIB)), 201)  # the refused bytes made room at once
    assert client.cancel_upload(location).status_code == 204
    small.assert_settled()
    patient.push(repository, random_image(MIB), "after")
    ledger.verify(client)


def test_blobs_disk_without_a_byte(small: HarmedStack, repository: str, ledger: Ledger) -> None:
    """Small layers too are refused, manifests are not (they are rows); the same session succeeds after freeing."""
    client = small.client()
    patient = PatientClient(client, ledger, attempts=1)
    base = random_image(MIB)
    patient.push(repository, base, "before")
    blob = random_blob(100_000)
    location = location_of(expect(client.start_upload(repository), 202))
    with filled(blobs_of(small)):
        assert client.patch(location, blob.data).status_code == 507
        ledger.verify(client)
        patient.put(repository, base, "again")
    expect(client.patch(location, blob.data, f"0-{blob.size - 1}"), 202)
    assert range_end(client.upload_status(location)) == blob.size - 1
    expect(client.finish_upload(location, blob.digest), 201)
    ledger.blob(repository, blob)
    ledger.verify(client)
    small.assert_settled()


def test_database_disk_full(small: HarmedStack, repository: str, ledger: Ledger) -> None:
    """Writes are 503 and change nothing, reads go on, no process has to be restarted by hand."""
    client = small.client()
    patient = PatientClient(client, ledger, attempts=1)
    base = random_image(MIB)
    patient.push(repository, base, "before")
    accepted: list[Manifest] = []

    def put() -> requests.Response:
        variant = _variant(base, len(accepted))
        answer = client.put_manifest(repository, variant, f"full-{len(accepted)}")
        if answer.status_code == 201:
            ledger.manifest(repository, variant, f"full-{len(accepted)}")
            accepted.append(variant)
        return answer

    with filled(small.data_dir):
        refused = _first_refusal(put)
        assert error_codes(refused) == ["UNAVAILABLE"], refused.text
        _first_refusal(lambda: client.patch(location_of(client.start_upload(repository)), b"first"))
        ledger.verify(client)
        assert small.api("GET", "/projects").status_code == 200
        assert small.api("POST", "/projects", json={"project_name": "nowhere"}).status_code == 503

    def pushes() -> bool:
        patient.push(repository, random_image(MIB), "after")
        return True

    eventually(pushes, 15)
    assert small.api("HEAD", "/projects?project_name=nowhere").status_code == 404
    assert {tag for _, tag in ledger.tags} == set(client.tags(repository))
    small.wait_running()
    ledger.verify(client)
    small.assert_settled()


def _first_refusal(write: Callable[[], requests.Response], attempts: int = 400) -> requests.Response:
    """Write until the database has no room: its log has some of its own, where a small row fits after a big one didn't."""
    for _ in range(attempts):
        answer = write()
        if not answer.ok:
            assert answer.status_code == 503, answer.text
            return answer
    raise AssertionError(f"{attempts} writes were taken on a full disk")


def _variant(base: Manifest, number: int) -> Manifest:
    """The same blobs under another manifest, of some pages in the database."""
    config, *layers = base.blobs
    return image(layers, config=config, annotations={"number": str(number), "padding": "x" * 4000})
