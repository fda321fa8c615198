"""Many parts, and writers that were given up on (protocol brief 3, no. 32; 4.3, scenario 15)."""

import uuid
from typing import Any

import pytest

from haven_registry.storage import ObjectMissing, StagingLost, StorageDriver, new_key, open_storage, s3_writer
from tests.integration.storage.broken_s3 import MIB, content, keys, open_driver, read, stage
from tests.support.seaweedfs import SeaweedServer

pytestmark = pytest.mark.usefixtures("short_backoff")


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


def test_ghost_writer_may_spoil_an_upload_never_its_content(breakable_s3: StorageDriver) -> None:
    """As Amazon does it: the last body sent for a part number counts, and completing with another ETag is refused."""
    key, data = new_key(), content(18 * MIB)
    recorded = write_beside_a_ghost(breakable_s3, key, data)

    with pytest.raises(StagingLost):
        breakable_s3.seal(key, recorded, len(data))

    with pytest.raises(ObjectMissing):
        breakable_s3.size(key)
    breakable_s3.abandon(key, recorded)
    assert keys(breakable_s3) == []


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
