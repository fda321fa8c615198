"""What the tests of the filesystem driver share."""

import pathlib
from random import Random
from typing import Any

from haven_registry.storage import StorageDriver

MIB = 1024 * 1024
KEY = "blobs/ab/" + "ab" * 16


def content(size: int) -> bytes:
    return Random(size).randbytes(size)


def read(driver: StorageDriver, key: str) -> bytes:
    return b"".join(driver.read(key))


def stage(driver: StorageDriver, key: str, data: bytes) -> dict[str, Any]:
    writer = driver.append(key, None, 0)
    writer.write(data)
    return writer.close()


def staged_path(root: pathlib.Path, key: str) -> pathlib.Path:
    return root / f"{key}.upload"
