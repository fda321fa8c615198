"""S3 that answers late, wrongly or not at all (protocol brief 4.3, scenarios 13, 14, 16, 17): moto behind a proxy."""

import traceback
from typing import Any

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
)
from tests.integration.storage.broken_s3 import (
    MIB,
    SECRET,
    anything,
    collect,
    content,
    is_blob_get,
    is_blob_put,
    is_complete,
    is_head,
    is_upload_part,
    keys,
    open_driver,
    read,
    stage,
)
from tests.integration.storage.fault_proxy import Fault, FaultProxy
from tests.support.seaweedfs import SeaweedServer

pytestmark = pytest.mark.usefixtures("short_backoff")


# --- scenario 13: S3 refuses for a while


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable")])
def test_part_is_sent_again_until_it_arrives(
    breakable_s3: StorageDriver, proxy: FaultProxy, status: int, code: str
) -> None:
    key, data = new_key(), content(17 * MIB)
    proxy.faults.append(Fault(is_upload_part, answer=(status, code), times=4))

    breakable_s3.seal(key, stage(breakable_s3, key, data), len(data))

    assert read(breakable_s3, key) == data
    assert proxy.count(is_upload_part) == 2 + 1 + 4  # two parts, the tail as the third, four refusals


def test_refused_for_good_the_upload_stays_where_it_was_recorded(
    breakable_s3: StorageDriver, proxy: FaultProxy
) -> None:
    key, data = new_key(), content(20 * MIB)
    state = stage(breakable_s3, key, data[: 9 * MIB])
    proxy.faults.append(Fault(is_upload_part, answer=(503, "SlowDown"), times=5))

    writer = breakable_s3.append(key, state, 9 * MIB)
    writer.write(data[9 * MIB :])  # the part is on its way when this returns
    with pytest.raises(StorageUnavailable, match="SlowDown"):
        writer.checkpoint()
    assert writer.size == 0
    writer.discard()

    writer = breakable_s3.append(key, state, 9 * MIB)
    writer.write(data[9 * MIB :])
    breakable_s3.seal(key, writer.close(), len(data))
    assert read(breakable_s3, key) == data


def test_answer_lost_after_a_part_arrived(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(9 * MIB)
    proxy.faults.append(Fault(is_upload_part, lost=True))

    breakable_s3.seal(key, stage(breakable_s3, key, data), len(data))

    assert read(breakable_s3, key) == data


def test_bucket_full(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    proxy.faults.append(Fault(lambda method, path: method == "PUT", answer=(507, "InsufficientStorage"), times=99))

    with pytest.raises(StorageFull):
        stage(breakable_s3, key, b"abc")
    with pytest.raises(StorageFull):
        breakable_s3.put(key, b"abc")

    assert keys(breakable_s3) == []


# --- scenario 14: nobody knows whether it was published


@pytest.mark.parametrize("lost_answers", [1, 5])
@pytest.mark.parametrize(("size", "publishes"), [(9 * MIB, is_complete), (100, is_blob_put), (0, is_blob_put)])
def test_answer_of_the_publishing_request_is_lost(
    breakable_s3: StorageDriver, proxy: FaultProxy, size: int, publishes: Any, lost_answers: int
) -> None:
    key, data = new_key(), content(size)
    state = stage(breakable_s3, key, data)
    proxy.faults.append(Fault(publishes, lost=True, times=lost_answers))

    breakable_s3.seal(key, state, size)

    assert read(breakable_s3, key) == data
    assert keys(breakable_s3) == [(key, False)]


def test_second_complete_after_a_lost_answer_finds_no_upload(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(9 * MIB)
    state = stage(breakable_s3, key, data)
    proxy.faults += [Fault(is_complete, lost=True), Fault(is_complete, answer=(404, "NoSuchUpload"))]

    breakable_s3.seal(key, state, len(data))

    assert read(breakable_s3, key) == data
    assert proxy.count(is_complete) == 2


def test_multipart_upload_that_somebody_aborted_is_lost(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    state = stage(breakable_s3, key, content(9 * MIB))
    proxy.faults.append(Fault(is_complete, answer=(404, "NoSuchUpload")))

    with pytest.raises(StagingLost):
        breakable_s3.seal(key, state, 9 * MIB)


@pytest.mark.parametrize(("size", "publishes"), [(9 * MIB, is_complete), (100, is_blob_put)])
def test_publishing_refused_for_good_then_sealed_again(
    breakable_s3: StorageDriver, proxy: FaultProxy, size: int, publishes: Any
) -> None:
    key, data = new_key(), content(size)
    state = stage(breakable_s3, key, data)
    proxy.faults.append(Fault(publishes, answer=(500, "InternalError"), times=5))

    with pytest.raises(StorageUnavailable):
        breakable_s3.seal(key, state, size)
    with pytest.raises(ObjectMissing):
        breakable_s3.size(key)

    breakable_s3.seal(key, state, size)
    assert read(breakable_s3, key) == data


def test_seal_that_died_before_its_cleanup_is_finished_by_the_next(
    breakable_s3: StorageDriver, proxy: FaultProxy
) -> None:
    key, data = new_key(), content(9 * MIB)
    state = stage(breakable_s3, key, data)
    b"".join(breakable_s3.read_staged(key, state, len(data)))
    proxy.faults.append(Fault(lambda method, path: path.endswith("?delete"), answer=(500, "InternalError"), times=5))

    with pytest.raises(StorageUnavailable):
        breakable_s3.seal(key, state, len(data))
    breakable_s3.seal(key, state, len(data))

    assert keys(breakable_s3) == [(key, False)]
    breakable_s3.abandon(key, state)
    assert read(breakable_s3, key) == data


def test_object_of_another_size_than_sealed_is_an_error(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    state = stage(breakable_s3, key, b"hello")
    proxy.faults.append(Fault(is_head, length=3))

    with pytest.raises(StorageError, match="3 bytes stand there after sealing 5"):
        breakable_s3.seal(key, state, 5)


# --- scenario 16: answers that break off, and none at all


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_body_that_breaks_off_is_no_clean_end(breakable_s3: StorageDriver, proxy: FaultProxy, share: float) -> None:
    key, data = new_key(), content(2 * MIB)
    breakable_s3.put(key, data)
    proxy.faults.append(Fault(is_blob_get, truncated=share))

    got = bytearray()
    with pytest.raises(StorageTruncated):
        collect(breakable_s3.read(key), got)

    assert len(got) < len(data)
    assert data.startswith(got)
    assert read(breakable_s3, key) == data


def test_body_that_stalls(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    breakable_s3.put(key, content(2 * MIB))
    proxy.faults.append(Fault(is_blob_get, stalled=0.5))

    with pytest.raises(StorageTruncated):
        read(breakable_s3, key)


def test_tail_that_breaks_off_while_resuming(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key, data = new_key(), content(3 * MIB)
    state = stage(breakable_s3, key, data)
    proxy.faults.append(Fault(lambda method, path: method == "GET" and "/staging/" in path, truncated=0.5))

    with pytest.raises(StorageError):
        breakable_s3.append(key, state, len(data))

    breakable_s3.append(key, state, len(data)).discard()
    breakable_s3.seal(key, state, len(data))
    assert read(breakable_s3, key) == data


def test_server_that_hangs_once(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    key = new_key()
    proxy.faults.append(Fault(is_blob_put, hanging=True))

    breakable_s3.put(key, b"abc")

    assert read(breakable_s3, key) == b"abc"


def test_server_that_hangs_for_good(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault(anything, hanging=True, times=99))

    with pytest.raises(StorageUnavailable):
        breakable_s3.size(new_key())
    assert len(proxy.requests) == 5


def test_server_that_is_away() -> None:
    driver = open_driver("http://127.0.0.1:9")

    with pytest.raises(StorageUnavailable):
        driver.check()
    with pytest.raises(StorageUnavailable):
        driver.read(new_key())


# --- deleting


def test_server_without_batch_delete(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    stored = [new_key() for _ in range(3)]
    for key in stored:
        breakable_s3.put(key, b"x")
    is_batch = lambda method, path: path.endswith("?delete")  # noqa: E731
    proxy.faults.append(Fault(is_batch, answer=(400, "MissingContentMD5"), times=99))

    breakable_s3.delete(stored)

    assert keys(breakable_s3) == []


def test_delete_that_fails_is_told_after_all_were_tried(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    stored = [new_key() for _ in range(3)]
    for key in stored:
        breakable_s3.put(key, b"x")
    is_batch = lambda method, path: path.endswith("?delete")  # noqa: E731
    proxy.faults.append(Fault(is_batch, answer=(503, "SlowDown"), times=5))

    with pytest.raises(StorageUnavailable):
        breakable_s3.delete(stored[:2] + [new_key() for _ in range(998)] + stored[2:])

    assert keys(breakable_s3) == sorted((key, False) for key in stored[:2])  # the second batch went


# --- scenario 17 and configuration: clear errors, no secrets


def test_clock_that_is_wrong(breakable_s3: StorageDriver, proxy: FaultProxy) -> None:
    proxy.faults.append(Fault(anything, answer=(403, "RequestTimeTooSkewed"), times=99))

    with pytest.raises(StorageError, match="clock"):
        breakable_s3.check()


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_refused_credentials_are_final_and_never_shown(
    breakable_s3: StorageDriver, proxy: FaultProxy, code: str
) -> None:
    proxy.faults.append(Fault(anything, answer=(403, code), times=99))

    with pytest.raises(StorageError, match=code) as caught:
        breakable_s3.put(new_key(), b"x")

    assert not isinstance(caught.value, StorageUnavailable)
    assert len(proxy.requests) == 1
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(breakable_s3)
    assert "AKIATEST" not in str(caught.value) + repr(breakable_s3)


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


def test_urls_are_offered_only_where_configured(breakable_s3: StorageDriver) -> None:
    assert breakable_s3.presigned_url(new_key(), 60) is None
