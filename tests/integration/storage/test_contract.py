"""What every driver promises of uploads (haven_registry.storage.driver), asked of each: memory, a folder, a real S3."""

import json

import pytest

from haven_registry.storage import StagingLost, StorageDriver, StorageError, UploadBusy, new_key
from tests.integration.storage.contract import BIG, MIB, append, content, is_missing, keys, read

# --- an upload in one body


@pytest.mark.parametrize("size", [1, 1000, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, BIG])
def test_upload_in_one_body(driver: StorageDriver, size: int) -> None:
    key, data = new_key(), content(size)

    state = append(driver, key, None, data)
    assert is_missing(driver, key)  # staged is not published
    driver.seal(key, state, size)

    assert driver.size(key) == size
    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]  # nothing staged is left


def test_empty_upload_without_any_body(driver: StorageDriver) -> None:
    key = new_key()

    driver.seal(key, None, 0)

    assert driver.size(key) == 0
    assert read(driver, key) == b""
    assert keys(driver) == [(key, False)]


def test_empty_upload_with_an_empty_body(driver: StorageDriver) -> None:
    key = new_key()

    driver.seal(key, append(driver, key, None, b""), 0)

    assert read(driver, key) == b""
    assert keys(driver) == [(key, False)]


def test_writer_takes_bytes_and_memoryviews_of_any_size(driver: StorageDriver) -> None:
    key = new_key()
    writer = driver.append(key, None, 0)

    writer.write(b"")
    writer.write(b"a")
    writer.write(memoryview(b"bcd")[1:])
    writer.write(bytes(9 * MIB))

    assert writer.size == 9 * MIB + 3
    driver.seal(key, writer.close(), 9 * MIB + 3)
    assert read(driver, key) == b"acd" + bytes(9 * MIB)


# --- an upload in several bodies


@pytest.mark.parametrize("sizes", [[1, 1, 1], [5 * MIB, 5 * MIB, 5 * MIB], [0, 8 * MIB, 0, 3], [9 * MIB, 100, 9 * MIB]])
def test_upload_in_several_bodies(driver: StorageDriver, sizes: list[int]) -> None:
    key, state, sent = new_key(), None, b""

    for seed, size in enumerate(sizes):
        body = content(size, seed)
        state = append(driver, key, state, body)
        sent += body
        assert state["bytes"] == len(sent)
    driver.seal(key, state, len(sent))

    assert read(driver, key) == sent
    assert keys(driver) == [(key, False)]


def test_checkpoint_is_where_an_upload_goes_on(driver: StorageDriver) -> None:
    key, data = new_key(), content(BIG)
    writer = driver.append(key, None, 0)
    writer.write(data[: 9 * MIB])
    state = json.loads(json.dumps(writer.checkpoint()))
    writer.write(b"never recorded" * MIB)  # the worker is lost here
    writer.discard()

    assert state["bytes"] == 9 * MIB
    state = append(driver, key, state, data[9 * MIB :])
    driver.seal(key, state, BIG)

    assert read(driver, key) == data


def test_state_before_an_unrecorded_body_still_holds(driver: StorageDriver) -> None:
    key, data = new_key(), content(12 * MIB)
    recorded = append(driver, key, None, data[: 10 * MIB])

    append(driver, key, recorded, content(9 * MIB, 7))  # durable, but its state is lost before it is recorded

    state = append(driver, key, recorded, data[10 * MIB :])
    driver.seal(key, state, 12 * MIB)
    assert read(driver, key) == data


def test_seal_cuts_what_was_never_recorded(driver: StorageDriver) -> None:
    key, data = new_key(), content(2 * MIB)
    state = append(driver, key, None, data)
    writer = driver.append(key, state, 2 * MIB)
    writer.write(b"x" * 1000)
    writer.discard()

    driver.seal(key, state, 2 * MIB)

    assert read(driver, key) == data


def test_first_body_lost_before_anything_was_recorded(driver: StorageDriver) -> None:
    key = new_key()
    writer = driver.append(key, None, 0)
    writer.write(content(10 * MIB, 3))
    writer.discard()

    driver.seal(key, append(driver, key, None, b"whole"), 5)

    assert read(driver, key) == b"whole"


def test_writer_with_an_old_state_destroys_nothing_before_it_writes(driver: StorageDriver) -> None:
    """It read the upload before another request was recorded, and must be able to see that in time."""
    key = new_key()
    state = append(driver, key, None, b"recorded by another")

    late = driver.append(key, None, 0)
    assert late.will_cut is (driver.name != "s3")
    late.discard()

    driver.seal(key, state, 19)
    assert read(driver, key) == b"recorded by another"


def test_many_checkpoints_in_one_body(driver: StorageDriver) -> None:
    key, data = new_key(), content(17 * MIB)
    writer = driver.append(key, None, 0)
    for at in range(0, len(data), MIB):
        writer.write(data[at : at + MIB])
        assert writer.checkpoint()["bytes"] == at + MIB
        assert writer.checkpoint()["bytes"] == at + MIB
    state = writer.close()

    driver.seal(key, state, len(data))

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


def test_close_again_gives_the_same_state_and_discard_never_raises(driver: StorageDriver) -> None:
    key = new_key()
    writer = driver.append(key, None, 0)
    writer.write(b"abc")

    state = writer.close()
    assert writer.close() == state
    writer.discard()
    writer.discard()
    with pytest.raises(ValueError):
        writer.write(b"late")

    driver.seal(key, state, 3)
    assert read(driver, key) == b"abc"


def test_offset_must_be_what_the_state_holds(driver: StorageDriver) -> None:
    key = new_key()
    state = append(driver, key, None, b"abc")

    with pytest.raises(ValueError):
        driver.append(key, state, 2)
    with pytest.raises(ValueError):
        driver.append(key, None, 3)

    driver.seal(key, state, 3)
    assert read(driver, key) == b"abc"


def test_second_writer_is_refused_or_harmless(driver: StorageDriver) -> None:
    key, data = new_key(), content(10 * MIB)
    first = driver.append(key, None, 0)
    first.write(data)
    if driver.name == "s3":
        second = driver.append(key, None, 0)
        second.write(content(10 * MIB, 9))
        second.close()  # its state loses the caller's compare-and-set
    else:
        with pytest.raises(UploadBusy):
            driver.append(key, None, 0)
        with pytest.raises(UploadBusy):
            driver.seal(key, {"bytes": 0}, 0)

    driver.seal(key, first.close(), len(data))

    assert read(driver, key) == data


def test_a_writer_that_is_released_unused_changes_nothing(driver: StorageDriver) -> None:
    """Whoever learns under the lock that the upload went on without it must be able to leave."""
    key = new_key()
    state = append(driver, key, None, b"recorded by another")

    driver.append(key, None, 0).discard()

    assert append(driver, key, state, b"!")["bytes"] == 20
    assert b"".join(driver.read_staged(key, state, 19)) == b"recorded by another"


# --- sealing


@pytest.mark.parametrize("size", [0, 5, BIG])
def test_seal_again_is_success(driver: StorageDriver, size: int) -> None:
    key, data = new_key(), content(size)
    state = append(driver, key, None, data)

    driver.seal(key, state, size)
    driver.seal(key, state, size)

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


@pytest.mark.parametrize("size", [4, 6])
def test_seal_with_another_size_publishes_nothing(driver: StorageDriver, size: int) -> None:
    key = new_key()
    state = append(driver, key, None, b"abcde")

    with pytest.raises(StagingLost):
        driver.seal(key, state, size)

    assert is_missing(driver, key)
    driver.seal(key, state, 5)
    assert read(driver, key) == b"abcde"


def test_seal_over_another_object_is_refused(driver: StorageDriver) -> None:
    key = new_key()
    driver.put(key, b"first")

    if driver.name != "s3":  # there a key is trusted to be new
        with pytest.raises(StorageError):
            driver.seal(key, append(driver, key, None, b"something else"), 14)

    assert read(driver, key) == b"first"


# --- abandoning


@pytest.mark.parametrize("size", [0, 100, BIG])
@pytest.mark.parametrize("is_recorded", [True, False])
def test_abandon_removes_all_that_is_staged(driver: StorageDriver, size: int, is_recorded: bool) -> None:
    key, other = new_key(), new_key()
    other_state = append(driver, other, None, b"other")
    state = append(driver, key, None, content(size))

    driver.abandon(key, state if is_recorded else None)
    assert keys(driver) == [(other, True)]
    driver.abandon(key, state)
    driver.abandon(key, None)

    assert keys(driver) == [(other, True)]
    if size:
        with pytest.raises(StagingLost):
            driver.append(key, state, size)
        with pytest.raises(StagingLost):
            driver.seal(key, state, size)
        with pytest.raises(StagingLost):
            b"".join(driver.read_staged(key, state, size))
    assert is_missing(driver, key)
    driver.seal(other, other_state, 5)
    assert read(driver, other) == b"other"


def test_abandon_leaves_a_published_object_alone(driver: StorageDriver) -> None:
    key, data = new_key(), content(BIG)
    state = append(driver, key, None, data)
    b"".join(driver.read_staged(key, state, BIG))
    driver.seal(key, state, BIG)

    driver.abandon(key, state)
    driver.abandon(key, None)

    assert read(driver, key) == data


# --- reading what is staged


@pytest.mark.parametrize("size", [0, 100, 16 * MIB, BIG])
def test_read_staged_then_seal(driver: StorageDriver, size: int) -> None:
    key, data = new_key(), content(size)
    state = append(driver, key, None, data)

    assert b"".join(driver.read_staged(key, state, size)) == data
    assert b"".join(driver.read_staged(key, state, size)) == data
    driver.seal(key, state, size)

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


@pytest.mark.parametrize("size", [0, 100, 16 * MIB, BIG])
def test_read_staged_after_a_seal_that_nobody_recorded(driver: StorageDriver, size: int) -> None:
    """Its caller died before it could commit; the same request comes again and begins with the digest."""
    key, data = new_key(), content(size)
    state = append(driver, key, None, data)
    driver.seal(key, state, size)

    assert b"".join(driver.read_staged(key, state, size)) == data
    driver.abandon(key, state)
    driver.seal(key, state, size)

    assert read(driver, key) == data
    assert keys(driver) == [(key, False)]


@pytest.mark.parametrize("size", [0, 100, 16 * MIB, BIG])
def test_read_staged_then_abandon(driver: StorageDriver, size: int) -> None:
    """The digest was wrong: nothing may stay, also where reading needed the object to be completed."""
    key = new_key()
    state = append(driver, key, None, content(size))
    b"".join(driver.read_staged(key, state, size))

    driver.abandon(key, state)

    assert keys(driver) == []
    assert is_missing(driver, key)
