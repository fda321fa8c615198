"""What the tests against moto share: drivers, and which requests to break."""

import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

from haven_registry.storage import StorageDriver, open_storage

MIB = 1024 * 1024
BUCKET = "haven-faults"
SECRET = "s3cr3t-never-shown"


def open_driver(endpoint: str) -> StorageDriver:
    return open_storage(
        f"s3://{BUCKET}/{uuid.uuid4().hex}?endpoint={endpoint}&region=us-east-1&timeout=0.5&connect_timeout=0.5",
        access_key="AKIATEST",
        secret_key=SECRET,
    )


def is_upload_part(method: str, path: str) -> bool:
    return method == "PUT" and "partNumber=" in path


def is_complete(method: str, path: str) -> bool:
    return method == "POST" and "uploadId=" in path


def is_blob_put(method: str, path: str) -> bool:
    return method == "PUT" and "/blobs/" in path


def is_blob_get(method: str, path: str) -> bool:
    return method == "GET" and "/blobs/" in path and "list-type" not in path


def is_head(method: str, path: str) -> bool:
    return method == "HEAD"


def anything(method: str, path: str) -> bool:
    return True


def content(size: int) -> bytes:
    return Random(size).randbytes(size)


def stage(driver: StorageDriver, key: str, data: bytes) -> dict[str, Any]:
    writer = driver.append(key, None, 0)
    writer.write(data)
    return writer.close()


def read(driver: StorageDriver, key: str) -> bytes:
    return b"".join(driver.read(key))


def collect(chunks: Iterator[bytes], into: bytearray) -> None:
    for chunk in chunks:
        into += chunk


def keys(driver: StorageDriver) -> list[tuple[str, bool]]:
    return sorted((found.key, found.is_staged) for found in driver.list_keys())
