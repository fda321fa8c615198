"""Storage URLs and keys."""

import subprocess
import sys

import pytest

from haven_registry.storage import new_key, open_storage
from haven_registry.storage.keys import is_key, validate_key


@pytest.mark.parametrize("url", ["/srv/haven", "file:///srv/haven"])
def test_folder(url: str) -> None:
    assert repr(open_storage(url)) == "FilesystemDriver('/srv/haven')"


def test_escaped_path() -> None:
    assert repr(open_storage("file:///srv/my%20haven")) == "FilesystemDriver('/srv/my haven')"


def test_memory() -> None:
    assert open_storage("memory://").name == "memory"


def test_bucket_with_every_option() -> None:
    driver = open_storage(
        "s3://bucket/some/prefix/?endpoint=http://localhost:9000&region=eu-1&path_style=false&redirect=true"
        "&pool=7&connect_timeout=1.5&timeout=30",
        access_key="AKIA-SHOWN-NOWHERE",
        secret_key="SECRET-SHOWN-NOWHERE",
    )

    shown = repr(driver)
    for part in ("'bucket'", "'some/prefix/'", "'http://localhost:9000'", "'eu-1'", "pool_size=7", "=1.5", "=30.0"):
        assert part in shown
    assert "use_path_style=False" in shown
    assert "offers_redirect=True" in shown
    assert "NOWHERE" not in shown


def test_other_servers_are_asked_by_path_unless_told_otherwise() -> None:
    assert "use_path_style=True" in repr(open_storage("s3://bucket?endpoint=https://s3.example"))
    assert "use_path_style=False" in repr(open_storage("s3://bucket"))


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "absolute path"),
        ("srv/haven", "absolute path"),
        ("file://srv/haven", "three slashes"),
        ("/srv/haven?x=1", "only s3:// takes options"),
        ("gs://bucket", "gs://"),
        ("s3:///prefix", "name of a bucket"),
        ("s3://host:9000/bucket", "endpoint="),
        ("s3://user:hunter2@bucket", "credentials"),
        ("s3://bucket?endpoint=https://user:hunter2@host", "endpoint must be"),
        ("s3://bucket?endpoint=host:9000", "endpoint must be"),
        ("s3://bucket?endpiont=http://hunter2", "unknown option endpiont"),
        ("s3://bucket?path_style=yes", "path_style must be true or false"),
        ("s3://bucket?pool=0", "pool must be"),
        ("s3://bucket?timeout=-1", "timeout must be"),
        ("s3://bucket?timeout=inf", "timeout must be"),
        ("s3://bucket?region=", "region is empty"),
        ("s3://bucket?region=a&region=b", "region is given twice"),
        ("s3://[bucket", "not a URL"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_quoted(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match="storage URL") as caught:
        open_storage(url)

    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_keys_go_together_and_with_a_bucket_only() -> None:
    with pytest.raises(ValueError, match="one is missing"):
        open_storage("s3://bucket", access_key="a")
    with pytest.raises(ValueError, match="one is missing"):
        open_storage("s3://bucket", secret_key="s")
    with pytest.raises(ValueError, match="s3:// only"):
        open_storage("/srv/haven", access_key="a", secret_key="s")


def test_boto3_is_loaded_for_s3_only() -> None:
    code = (
        "import sys; from haven_registry.storage import open_storage; open_storage('/srv/haven');"
        "open_storage('s3://bucket'); sys.exit('boto3' in sys.modules or 'django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


def test_new_keys() -> None:
    keys = {new_key() for _ in range(1000)}

    assert len(keys) == 1000
    assert all(is_key(key) and key.split("/")[1] == key.split("/")[2][:2] for key in keys)


@pytest.mark.parametrize(
    "text",
    ["", "blobs/ab", "blobs/ab/" + "0" * 31, "blobs/ab/" + "0" * 33, "/blobs/ab/" + "0" * 32, "blobs/../" + "0" * 32],
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError):
        validate_key(text)
