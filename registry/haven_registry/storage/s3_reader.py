"""Reading one S3 object, with its length checked before the first byte and at the last."""

from collections.abc import Iterator
from typing import Any

from haven_registry.storage.driver import READ_CHUNK_BYTES
from haven_registry.storage.errors import StorageError, StorageTruncated
from haven_registry.storage.s3_bucket import Bucket


def read_object(bucket: Bucket, name: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Bytes `start` up to `start + length` (to the end when None). Closing the iterator drops the connection.

    Raises: at the call, ObjectMissing, StorageTruncated when the object is too short; while reading, StorageTruncated
    whatever the connection broke by, since the bytes that came can't be taken back.
    """
    if length == 0:
        return _read_nothing(bucket, name, start)
    is_whole = start == 0 and length is None
    byte_range = None if is_whole else f"bytes={start}-{'' if length is None else start + length - 1}"
    try:
        response = bucket.get(name, byte_range)
    except StorageTruncated:
        if length is None:  # S3 refuses `bytes=N-` of an object of N bytes
            return _read_nothing(bucket, name, start)
        raise
    body, available = response["Body"], int(response["ContentLength"])
    wanted = available if length is None else length
    if byte_range is not None and response["ResponseMetadata"]["HTTPStatusCode"] != 206:
        body.close()
        raise StorageError(f"get {name}: S3 ignored the range")
    if available != wanted:
        body.close()
        raise StorageTruncated(f"get {name}: {available} bytes, not {wanted}")
    return _chunks(body, name, wanted)


def _read_nothing(bucket: Bucket, name: str, start: int) -> Iterator[bytes]:
    size = bucket.size(name)
    if start > size:
        raise StorageTruncated(f"get {name}: {size} bytes, not {start}")
    return iter(())


def _chunks(body: Any, name: str, wanted: int) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError  # boto3 is loaded only where S3 is used

    left = wanted
    try:
        while left:
            try:
                chunk = body.read(min(READ_CHUNK_BYTES, left))
            except (BotoCoreError, OSError) as error:
                raise StorageTruncated(f"get {name}: broke {left} bytes early") from error
            if not chunk:
                raise StorageTruncated(f"get {name}: ended {left} bytes early")
            left -= len(chunk)
            yield bytes(chunk)
    finally:
        body.close()
