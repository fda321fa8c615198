"""Callers whose state others have left behind, at the drivers that see what is staged. S3 goes by the state alone, and the
caller's compare-and-set decides."""

import pathlib

import pytest

from haven_registry.storage import StagingLost, StorageDriver, UploadBusy, filesystem, new_key, open_storage
from haven_registry.storage.errors import StagedAhead
from tests.integration.storage.contract import append, content, read


@pytest.fixture(params=["memory", "filesystem"])
def driver(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> StorageDriver:
    return open_storage("memory://" if request.param == "memory" else str(tmp_path / "root"))


def test_seal_cuts_nothing(driver: StorageDriver) -> None:
    key, data = new_key(), content(100)
    old = append(driver, key, None, data[:40])
    state = append(driver, key, old, data[40:])

    with pytest.raises(StagedAhead):
        driver.seal(key, old, 40, may_cut=False)

    driver.seal(key, state, 100, may_cut=False)
    with pytest.raises(StagedAhead):
        driver.seal(key, old, 40, may_cut=False)
    assert read(driver, key) == data


@pytest.mark.parametrize("offset", [0, 40])
def test_revert_takes_back_what_was_written(driver: StorageDriver, offset: int) -> None:
    key, data = new_key(), content(100)
    state = append(driver, key, None, data[:40]) if offset else None
    writer = driver.append(key, state, offset)
    writer.write(b"nobody will cut this")
    writer.revert()
    writer.discard()

    assert [found.size for found in driver.list_keys()] == ([40] if offset else [])
    state = append(driver, key, state, data[offset:])
    driver.seal(key, state, 100, may_cut=False)
    assert read(driver, key) == data


def test_an_empty_blob_takes_no_place_that_is_taken(tmp_path: pathlib.Path) -> None:
    """Of two ends of one upload the first looked before the second had published, and renames after."""
    staged, final = tmp_path / "key.upload", tmp_path / "key"
    final.write_bytes(b"published")
    with pytest.raises(StagingLost):
        filesystem._publish(str(staged), str(final), "key", 0, is_durable=False, may_cut=True)
    assert final.read_bytes() == b"published"
    assert not staged.exists()


def test_nothing_is_staged_beside_what_was_published(driver: StorageDriver) -> None:
    """Nobody would remove it."""
    key = new_key()
    driver.put(key, b"published")

    with pytest.raises(UploadBusy):
        driver.append(key, None, 0)

    driver.put(key, b"published")
    assert [(found.key, found.is_staged) for found in driver.list_keys()] == [(key, False)]
    assert read(driver, key) == b"published"
