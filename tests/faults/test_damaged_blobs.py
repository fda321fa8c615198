"""The bytes of a blob torn or gone on the disk: never served as if they were whole, named by fsck, healed by a push."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.client import error_codes, expect
from tests.support.harm import HarmedStack
from tests.support.oci import Blob, image, random_blob, random_layer


def tear(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1000)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def file_of(stack: HarmedStack, blob: Blob) -> Path:
    """Where the bytes are; the name of a file says nothing of them."""
    [found] = [
        path
        for path in (stack.data_dir / "storage" / "blobs").glob("*/*")
        if path.stat().st_size == blob.size and path.read_bytes() == blob.data
    ]
    return found


@pytest.mark.parametrize("harm", [tear, lengthen, Path.unlink], ids=["torn", "too long", "gone"])
def test_damage_is_no_answer_and_a_push_heals_it(
    stack: HarmedStack, repository: str, harm: Callable[[Path], None]
) -> None:
    client = stack.client()
    layer = random_layer(40_000)
    pushed = image([layer])
    client.push(repository, pushed, "v1")
    harm(file_of(stack, layer))

    for wanted in (None, "bytes=0-9", "bytes=20000-"):
        answer = client.get_blob(repository, layer.digest, wanted)
        assert (answer.status_code, error_codes(answer)) == (404, ["BLOB_UNKNOWN"]), wanted
        assert "Docker-Content-Digest" not in answer.headers
    assert client.head_blob(repository, layer.digest).status_code == 404  # so that a push brings it again
    assert expect(client.get_manifest(repository, "v1"), 200).content == pushed.payload
    done = stack.command("-m", "haven_project.cli", "fsck", "--data", str(stack.data_dir))
    assert done.returncode == 1
    assert f"BROKEN  bytes: {layer.digest} at blobs/" in done.stdout
    assert f"{layer.size} bytes expected" in done.stdout

    expect(client.push_blob(repository, layer), 201)
    assert client.pull(repository, "v1").payload == pushed.payload
    stack.assert_clean()


def test_damage_is_healed_by_whoever_pushes_the_same_bytes(stack: HarmedStack, repository: str) -> None:
    """Into another project: one blob, one object."""
    client = stack.client()
    blob = random_blob(30_000)
    expect(client.push_blob(repository, blob), 201)
    tear(file_of(stack, blob))
    other = stack.create_project("q" + repository.partition("/")[0])
    elsewhere = f"{other}/app"
    expect(client.push_blob(elsewhere, blob), 201)
    for name in (repository, elsewhere):
        assert expect(client.get_blob(name, blob.digest), 200).content == blob.data
    stack.assert_clean()
