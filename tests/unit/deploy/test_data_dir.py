import json
import os

import pytest

from haven_deploy.data_dir import DataDirLock, is_locked, lock_holder, prepare_data_dir
from haven_deploy.errors import AlreadyRunning, DataDirUnusable, ForeignDataDir


def test_new_folder_is_made_marked_and_private(tmp_path):
    data_dir = prepare_data_dir(tmp_path / "deep" / "data")

    assert json.loads((data_dir / "haven.json").read_text()) == {"product": "haven", "format": 1}
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in data_dir.iterdir()) == ["haven.json", "log", "run"]


def test_own_folder_is_taken_again(tmp_path):
    first = prepare_data_dir(tmp_path / "data")
    (first / "kept").write_text("kept")

    assert prepare_data_dir(tmp_path / "data") == first
    assert (first / "kept").read_text() == "kept"


def test_mount_point_of_a_new_file_system_counts_as_empty(tmp_path):
    (tmp_path / "lost+found").mkdir()

    assert prepare_data_dir(tmp_path) == tmp_path


@pytest.mark.parametrize("marker", [None, "no json", "[]", '{"product": "other", "format": 1}'])
def test_foreign_folder_is_not_touched(tmp_path, marker):
    (tmp_path / "precious").write_text("precious")
    tmp_path.chmod(0o755)
    if marker is not None:
        (tmp_path / "haven.json").write_text(marker)
    before = sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(ForeignDataDir) as raised:
        prepare_data_dir(tmp_path)

    assert str(raised.value) == (f"The folder {tmp_path} is not empty and not Haven's. Name an empty or a new folder.")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_folder_of_another_format_is_refused(tmp_path):
    (tmp_path / "haven.json").write_text('{"product": "haven", "format": 2}')

    with pytest.raises(DataDirUnusable, match="its format 2 belongs to another version"):
        prepare_data_dir(tmp_path)


def test_path_that_celery_would_expand_is_refused(tmp_path):
    with pytest.raises(DataDirUnusable, match="its path has a %"):
        prepare_data_dir(tmp_path / "100%full")

    assert list(tmp_path.iterdir()) == []


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "data").write_text("a file")

    with pytest.raises(DataDirUnusable, match="cannot be used: File exists"):
        prepare_data_dir(tmp_path / "data")


def test_path_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(DataDirUnusable, match="too long for sockets"):
        prepare_data_dir(tmp_path / ("x" * 120))
    assert not any(tmp_path.iterdir())


def test_lock_is_exclusive_and_names_its_holder(tmp_path):
    lock = DataDirLock(tmp_path).acquire()
    assert is_locked(tmp_path)
    assert lock_holder(tmp_path) == os.getpid()
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        DataDirLock(tmp_path).acquire()
    lock.release()

    assert not is_locked(tmp_path)
    DataDirLock(tmp_path).acquire().release()
