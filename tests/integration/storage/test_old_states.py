"""Callers whose state others have left behind, at the drivers that see what is staged. S3 goes by the state alone, and the
caller's compare-and-set decides."""

import pathlib

import pytest

from haven_registry.storage import StorageDriver, UploadBusy, new_key, open_storage
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


def test_nothing_is_staged_beside_what_was_published(driver: StorageDriver) -> None:
    """Nobody would remove it."""
    key = new_key()
    driver.put(key, b"published")

    with pytest.raises(UploadBusy):
        driver.append(key, None, 0)

    driver.put(key, b"published")
    assert [(found.key, found.is_staged) for found in driver.list_keys()] == [(key, False)]
    assert read(driver, key) == b"published"
