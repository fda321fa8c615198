"""S3 that answers late, wrongly or not at all (protocol brief 4.3, scenarios 13 to 17): moto behind a proxy."""

import traceback
import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

import boto3
import pytest
from haven_registry.storage import (
    ObjectMissing,
    StagingLost,
    StorageDriver,
    StorageError,
    StorageFull,
    StorageTruncated,
    StorageUnavailable,
    new_key,
    open_storage,
    s3_writer,
)
from moto.server import ThreadedMotoServer

from tests.integration.storage.fault_proxy import Fault, FaultProxy, run_fault_proxy
from tests.support.seaweedfs import SeaweedServer

MIB = 1024 * 1024
BUCKET = "haven-faults"
SECRET = "s3cr3t-never-shown"


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    client.create_bucket(Bucket=BUCKET)
    yield host, port
    server.stop()


@pytest.fixture
def proxy(moto: tuple[str, int]) -> Iterator[FaultProxy]:
    with run_fault_proxy(*moto) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.retries.standard import ExponentialBackoff

    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


@pytest.fixture
def driver(proxy: FaultProxy) -> StorageDriver:
    return open_driver(proxy.endpoint)


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


# --- scenario 13: S3 refuses for a while


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable")])
def test_part_is_sent_again_until_it_arrives(driver: StorageDriver, proxy: FaultProxy, status: int, code: str) -> None:
    key, data = new_key(), content(17 * MIB)
    proxy.faults.append(Fault(is_upload_part, answer=(status, code), times=4))

    driver.seal(key, stage(driver, key, data), len(data))

    assert read(driver, key) == data
    assert proxy.count(is_upload_part) == 2 + 1 + 4  # two parts, the tail as the third, four refusals


def test_refused_for_good_the_upload_stays_where_it_was_recorded(driver: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(20 * MIB)
    state = stage(driver, key, data[: 9 * MIB])
    proxy.faults.append(Fault(is_upload_part, answer=(503, "SlowDown"), times=5))

    writer = driver.append(key, state, 9 * MIB)
    writer.write(data[9 * MIB :])  # the part is on its way when this returns
    with pytest.raises(StorageUnavailable, match="SlowDown"):
        writer.checkpoint()
    assert writer.size == 0
    writer.discard()

    writer = driver.append(key, state, 9 * MIB)
    writer.write(data[9 * MIB :])
    driver.seal(key, writer.close(), len(data))
    assert read(driver, key) == data


def test_answer_lost_after_a_part_arrived(driver: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(9 * MIB)
    proxy.faults.append(Fault(is_upload_part, lost=True))

    driver.seal(key, stage(driver, key, data), len(data))

    assert read(driver, key) == data


def test_bucket_full(driver: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    proxy.faults.append(Fault(lambda method, path: method == "PUT", answer=(507, "InsufficientStorage"), times=99))

    with pytest.raises(StorageFull):
        stage(driver, key, b"abc")
    with pytest.raises(StorageFull):
        driver.put(key, b"abc")

    assert keys(driver) == []


# --- scenario 14: nobody knows whether it was published


@pytest.mark.parametrize("lost_answers", [1, 5])
@pytest.mark.parametrize(("size", "publishes"), [(9 * MIB, is_complete), (100, is_blob_put), (0, is_blob_put)])
def test_answer_of_the_publishing_request_is_lost(
    driver: StorageDriver, proxy: FaultProxy, size: int, publishes: Any, lost_answers: int
) -> None:
    key, data = new_key(), content(size)
    state = stage(driver, key, data)
    proxy.faults.append(Fault(publishes, lost=True, times=lost_answers))

    driver.seal(key, state, size)

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


@pytest.mark.parametrize(("size", "publishes"), [(9 * MIB, is_complete), (100, is_blob_put)])
def test_publishing_refused_for_good_then_sealed_again(
    driver: StorageDriver, proxy: FaultProxy, size: int, publishes: Any
) -> None:
    key, data = new_key(), content(size)
    state = stage(driver, key, data)
    proxy.faults.append(Fault(publishes, answer=(500, "InternalError"), times=5))

    with pytest.raises(StorageUnavailable):
        driver.seal(key, state, size)
    with pytest.raises(ObjectMissing):
        driver.size(key)

    driver.seal(key, state, size)
    assert read(driver, key) == data


def test_seal_that_died_before_its_cleanup_is_finished_by_the_next(driver: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(9 * MIB)
    state = stage(driver, key, data)
    b"".join(driver.read_staged(key, state, len(data)))
    proxy.faults.append(Fault(lambda method, path: path.endswith("?delete"), answer=(500, "InternalError"), times=5))

    with pytest.raises(StorageUnavailable):
        driver.seal(key, state, len(data))
    driver.seal(key, state, len(data))

    assert keys(driver) == [(key, False)]
    driver.abandon(key, state)
    assert read(driver, key) == data


def test_object_of_another_size_than_sealed_is_an_error(driver: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    state = stage(driver, key, b"hello")
    proxy.faults.append(Fault(is_head, length=3))

    with pytest.raises(StorageError, match="3 bytes stand there after sealing 5"):
        driver.seal(key, state, 5)


# --- scenario 15: what crashes leave


def test_more_than_a_thousand_parts(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """ListParts and the parts' growth beyond 1,000; small parts, so that it takes seconds."""
    monkeypatch.setattr(s3_writer, "PART_BYTES", 500)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    driver = open_driver("http://{}:{}".format(*moto))
    key, data = new_key(), content(1050 * 500 + 7)

    state = stage(driver, key, data[: 1020 * 500])
    assert [len(state["parts"]), state["parts"][999][2], state["parts"][1000][2]] == [1010, 500, 1000]
    writer = driver.append(key, state, 1020 * 500)
    writer.write(data[1020 * 500 :])
    driver.seal(key, writer.close(), len(data))

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


def test_ten_thousand_parts_hold_five_tebibytes() -> None:
    sizes = [s3_writer.part_bytes(number) for number in range(1, 10_001)]

    assert sum(sizes) >= 5 * 1024**4
    assert min(sizes) == sizes[0] == 8 * MIB
    assert max(sizes) <= 5 * 1024**3


def write_beside_a_ghost(driver: StorageDriver, key: str, data: bytes) -> dict[str, Any]:
    """Two writers resume one multipart upload of 9 MiB; the one whose state was not recorded ends last."""
    state = stage(driver, key, data[: 9 * MIB])
    ghost, live = driver.append(key, state, 9 * MIB), driver.append(key, state, 9 * MIB)
    live.write(data[9 * MIB :])
    recorded = live.close()
    ghost.write(bytes(9 * MIB))
    ghost.close()
    return recorded


def test_ghost_writer_may_spoil_an_upload_never_its_content(driver: StorageDriver) -> None:
    """As Amazon does it: the last body sent for a part number counts, and completing with another ETag is refused."""
    key, data = new_key(), content(18 * MIB)
    recorded = write_beside_a_ghost(driver, key, data)

    with pytest.raises(StagingLost):
        driver.seal(key, recorded, len(data))

    with pytest.raises(ObjectMissing):
        driver.size(key)
    driver.abandon(key, recorded)
    assert keys(driver) == []


def test_ghost_writer_where_the_server_keeps_every_attempt(seaweedfs: SeaweedServer) -> None:
    """SeaweedFS finds the recorded part by its ETag."""
    driver = open_storage(
        f"s3://{seaweedfs.bucket}/{uuid.uuid4().hex}?endpoint={seaweedfs.endpoint}&region=us-east-1",
        access_key=seaweedfs.access_key,
        secret_key=seaweedfs.secret_key,
    )
    key, data = new_key(), content(18 * MIB)

    driver.seal(key, write_beside_a_ghost(driver, key, data), len(data))

    assert read(driver, key) == data


# --- scenario 16: answers that break off, and none at all


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_body_that_breaks_off_is_no_clean_end(driver: StorageDriver, proxy: FaultProxy, share: float) -> None:
    key, data = new_key(), content(2 * MIB)
    driver.put(key, data)
    proxy.faults.append(Fault(is_blob_get, truncated=share))

    got = bytearray()
    with pytest.raises(StorageTruncated):
        collect(driver.read(key), got)

    assert len(got) < len(data)
    assert data.startswith(got)
    assert read(driver, key) == data


def test_body_that_stalls(driver: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    driver.put(key, content(2 * MIB))
    proxy.faults.append(Fault(is_blob_get, stalled=0.5))

    with pytest.raises(StorageTruncated):
        read(driver, key)


def test_tail_that_breaks_off_while_resuming(driver: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(3 * MIB)
    state = stage(driver, key, data)
    proxy.faults.append(Fault(lambda method, path: method == "GET" and "/staging/" in path, truncated=0.5))

    with pytest.raises(StorageError):
        driver.append(key, state, len(data))

    driver.append(key, state, len(data)).discard()
    driver.seal(key, state, len(data))
    assert read(driver, key) == data


def test_server_that_hangs_once(driver: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    proxy.faults.append(Fault(is_blob_put, hanging=True))

    driver.put(key, b"abc")

    assert read(driver, key) == b"abc"


def test_server_that_hangs_for_good(driver: StorageDriver, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault(anything, hanging=True, times=99))

    with pytest.raises(StorageUnavailable):
        driver.size(new_key())
    assert len(proxy.requests) == 5


def test_server_that_is_away() -> None:
    driver = open_driver("http://127.0.0.1:9")

    with pytest.raises(StorageUnavailable):
        driver.check()
    with pytest.raises(StorageUnavailable):
        driver.read(new_key())


# --- deleting


def test_server_without_batch_delete(driver: StorageDriver, proxy: FaultProxy) -> None:
    stored = [new_key() for _ in range(3)]
    for key in stored:
        driver.put(key, b"x")
    is_batch = lambda method, path: path.endswith("?delete")  # noqa: E731
    proxy.faults.append(Fault(is_batch, answer=(400, "MissingContentMD5"), times=99))

    driver.delete(stored)

    assert keys(driver) == []


def test_delete_that_fails_is_told_after_all_were_tried(driver: StorageDriver, proxy: FaultProxy) -> None:
    stored = [new_key() for _ in range(3)]
    for key in stored:
        driver.put(key, b"x")
    is_batch = lambda method, path: path.endswith("?delete")  # noqa: E731
    proxy.faults.append(Fault(is_batch, answer=(503, "SlowDown"), times=5))

    with pytest.raises(StorageUnavailable):
        driver.delete(stored[:2] + [new_key() for _ in range(998)] + stored[2:])

    assert keys(driver) == sorted((key, False) for key in stored[:2])  # the second batch went


# --- scenario 17 and configuration: clear errors, no secrets


def test_clock_that_is_wrong(driver: StorageDriver, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault(anything, answer=(403, "RequestTimeTooSkewed"), times=99))

    with pytest.raises(StorageError, match="clock"):
        driver.check()


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_refused_credentials_are_final_and_never_shown(driver: StorageDriver, proxy: FaultProxy, code: str) -> None:
    proxy.faults.append(Fault(anything, answer=(403, code), times=99))

    with pytest.raises(StorageError, match=code) as caught:
        driver.put(new_key(), b"x")

    assert not isinstance(caught.value, StorageUnavailable)
    assert len(proxy.requests) == 1
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(driver)
    assert "AKIATEST" not in str(caught.value) + repr(driver)


def test_bad_signature_is_refused_by_a_real_server(seaweedfs: SeaweedServer) -> None:
    driver = open_storage(
        f"s3://{seaweedfs.bucket}?endpoint={seaweedfs.endpoint}&region=us-east-1",
        access_key=seaweedfs.access_key,
        secret_key="wrong",
    )

    with pytest.raises(StorageError, match="SignatureDoesNotMatch"):
        driver.check()


def test_bucket_that_is_not_there_is_no_missing_object(proxy: FaultProxy) -> None:
    driver = open_storage(
        f"s3://no-such-bucket?endpoint={proxy.endpoint}&region=us-east-1", access_key="x", secret_key="x"
    )

    with pytest.raises(StorageError, match="NoSuchBucket") as caught:
        driver.read(new_key())
    assert not isinstance(caught.value, ObjectMissing)


def test_urls_are_offered_only_where_configured(driver: StorageDriver) -> None:
    assert driver.presigned_url(new_key(), 60) is None
