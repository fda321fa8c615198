"""What the contract tests share."""

import json
from random import Random

import pytest

from haven_registry.storage import ObjectMissing, StagingState, StorageDriver

MIB = 1024 * 1024
BIG = 20 * MIB + 12345  # on S3: two full parts and a tail


def content(size: int, seed: int = 1) -> bytes:
    return Random(seed).randbytes(size)


def read(driver: StorageDriver, key: str, start: int = 0, length: int | None = None) -> bytes:
    return b"".join(driver.read(key, start, length))


def append(driver: StorageDriver, key: str, state: StagingState | None, data: bytes) -> StagingState:
    """One request body in chunks; the state as a database would give it back."""
    offset = 0 if state is None else state["bytes"]
    writer = driver.append(key, state, offset)
    for at in range(0, len(data), MIB):
        writer.write(memoryview(data)[at : at + MIB])
    assert writer.size == len(data)
    return json.loads(json.dumps(writer.close()))


def keys(driver: StorageDriver, prefix: str = "") -> list[tuple[str, bool]]:
    return sorted((found.key, found.is_staged) for found in driver.list_keys(prefix))


def is_missing(driver: StorageDriver, key: str) -> bool:
    with pytest.raises(ObjectMissing):
        driver.size(key)
    with pytest.raises(ObjectMissing):
        driver.read(key)
    return True
