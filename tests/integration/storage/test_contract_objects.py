"""What every driver promises of published objects (haven_registry.storage.driver), asked of each."""

import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from haven_registry.storage import ObjectMissing, StorageDriver, StorageTruncated, new_key
from tests.integration.storage.contract import MIB, append, content, is_missing, keys, read


def test_put(driver: StorageDriver) -> None:
    key, empty = new_key(), new_key()

    driver.put(key, b"manifest")
    driver.put(key, b"manifest")
    driver.put(empty, b"")

    assert read(driver, key) == b"manifest"
    assert read(driver, empty) == b""
    assert keys(driver) == sorted([(key, False), (empty, False)])


@pytest.mark.parametrize(
    ("start", "length"), [(0, 1), (0, 10), (3, None), (3, 0), (9, 1), (10, None), (10, 0), (0, 0), (2, 5)]
)
def test_ranges(driver: StorageDriver, start: int, length: int | None) -> None:
    key, data = new_key(), b"0123456789"
    driver.put(key, data)

    end = None if length is None else start + length
    assert read(driver, key, start, length) == data[start:end]


@pytest.mark.parametrize(("start", "length"), [(0, 11), (5, 6), (10, 1), (11, 0), (11, None), (50, 1)])
def test_range_past_the_end_is_an_error_before_the_first_byte(
    driver: StorageDriver, start: int, length: int | None
) -> None:
    key = new_key()
    driver.put(key, b"0123456789")

    with pytest.raises(StorageTruncated):
        driver.read(key, start, length)


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
def test_impossible_range(driver: StorageDriver, start: int, length: int | None) -> None:
    with pytest.raises(ValueError):
        driver.read(new_key(), start, length)


def test_chunks_are_bounded_and_reading_may_stop_early(driver: StorageDriver) -> None:
    key, data = new_key(), content(3 * MIB)
    driver.put(key, data)

    chunks = driver.read(key, 1)
    first = next(chunks)
    chunks.close()  # type: ignore[attr-defined]

    assert data[1:].startswith(first)
    assert 0 < max(len(chunk) for chunk in driver.read(key)) <= 256 * 1024


def test_missing(driver: StorageDriver) -> None:
    assert is_missing(driver, new_key())
    with pytest.raises(ObjectMissing):
        driver.read(new_key(), 5, 0)
    with pytest.raises(ObjectMissing):
        driver.read(new_key(), 5, 3)


def test_delete(driver: StorageDriver) -> None:
    key, kept = new_key(), new_key()
    driver.put(key, b"a")
    driver.put(kept, b"b")

    driver.delete(iter([key, new_key()]))
    driver.delete([key])
    driver.delete([])

    assert is_missing(driver, key)
    assert keys(driver) == [(kept, False)]


def test_delete_leaves_staged_bytes_alone(driver: StorageDriver) -> None:
    key = new_key()
    state = append(driver, key, None, b"abc")

    driver.delete([key])

    driver.seal(key, state, 3)
    assert read(driver, key) == b"abc"


def test_delete_more_than_one_batch(driver: StorageDriver) -> None:
    present = [new_key() for _ in range(5)]
    for key in present:
        driver.put(key, b"x")

    driver.delete(present[:2] + [new_key() for _ in range(1500)] + present[2:])

    assert keys(driver) == []


def test_list(driver: StorageDriver) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    published, small, large = new_key(), new_key(), new_key()
    driver.put(published, b"12345")
    append(driver, small, None, b"123")
    append(driver, large, None, content(9 * MIB))

    found = list(driver.list_keys())

    assert {(it.key, it.is_staged) for it in found} == {(published, False), (small, True), (large, True)}
    assert {it.size for it in found if it.key == published} == {5}
    assert {it.size for it in found if it.key == small} == {3}
    assert all(before < it.modified_at < datetime.now(UTC) + timedelta(seconds=5) for it in found)
    for prefix in ("blobs/", published[:8], published, published[:20]):
        assert {it.key for it in driver.list_keys(prefix)} == {
            key for key in (published, small, large) if key.startswith(prefix)
        }
    assert list(driver.list_keys("elsewhere/")) == []


def test_list_of_nothing(driver: StorageDriver) -> None:
    assert list(driver.list_keys()) == []


def test_where_a_client_or_web_server_finds_it(driver: StorageDriver) -> None:
    key = new_key()
    driver.put(key, b"bytes")

    path = driver.local_path(key)
    url = driver.presigned_url(
        key, 60, content_type="application/vnd.oci.image.layer.v1.tar", content_disposition='attachment; filename="a b"'
    )

    assert (path is not None) == (driver.name == "filesystem")
    assert (url is not None) == (driver.name == "s3")
    if path is not None:
        assert path.read_bytes() == b"bytes"
    if url is not None:
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.read() == b"bytes"
            assert response.headers["Content-Type"] == "application/vnd.oci.image.layer.v1.tar"
            assert response.headers["Content-Disposition"] == 'attachment; filename="a b"'


def test_check_leaves_nothing(driver: StorageDriver) -> None:
    driver.check()

    assert keys(driver) == []


@pytest.mark.parametrize("key", ["", "x", "blobs/ab/../../etc", "blobs/AB/" + "0" * 32, "blobs/ab/" + "0" * 32 + "\n"])
def test_only_keys_are_taken(driver: StorageDriver, key: str) -> None:
    for call in (
        lambda: driver.append(key, None, 0),
        lambda: driver.seal(key, None, 0),
        lambda: driver.abandon(key, None),
        lambda: driver.read_staged(key, None, 0),
        lambda: driver.put(key, b""),
        lambda: driver.read(key),
        lambda: driver.size(key),
        lambda: driver.delete([key]),
        lambda: driver.local_path(key),
        lambda: driver.presigned_url(key, 60),
    ):
        with pytest.raises(ValueError, match="not a storage key"):
            call()
    assert keys(driver) == []


def test_many_threads(driver: StorageDriver) -> None:
    barrier = threading.Barrier(8)

    def upload(seed: int) -> tuple[str, bytes]:
        key, data = new_key(), content(100_000 + seed, seed)
        barrier.wait()
        driver.seal(key, append(driver, key, None, data), len(data))
        return key, data

    with ThreadPoolExecutor(8) as pool:
        uploads = list(pool.map(upload, range(8)))

    assert [read(driver, key) == data for key, data in uploads] == [True] * 8
    assert keys(driver) == sorted((key, False) for key, _ in uploads)
