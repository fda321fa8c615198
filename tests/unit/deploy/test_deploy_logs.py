import os
from itertools import islice

from haven_deploy.logs import last_lines, open_log, rotate_logs, tail_logs


def write(path, text):
    with path.open("a") as file:
        file.write(text)


def test_rotation_keeps_the_writers_descriptor_working(tmp_path):
    log = tmp_path / "a.log"
    descriptor = open_log(log)
    for round_number in range(4):
        os.write(descriptor, b"%d" % round_number * 100)
        rotate_logs(tmp_path, max_bytes=100, kept_files=2)
    os.write(descriptor, b"new")
    os.close(descriptor)

    assert {path.name: path.read_text()[:3] for path in tmp_path.iterdir()} == {
        "a.log": "new", "a.log.1": "333", "a.log.2": "222",
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_small_logs_are_left_alone(tmp_path):
    write(tmp_path / "a.log", "x" * 99)
    rotate_logs(tmp_path, max_bytes=100)

    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_last_lines_of_a_missing_file(tmp_path):
    assert last_lines(tmp_path / "none.log", 5) == []


def test_tail_shows_the_chosen_logs(tmp_path):
    (tmp_path / "log").mkdir()
    for name in ("a", "b", "c"):
        write(tmp_path / "log" / f"{name}.log", "".join(f"{name}{number}\n" for number in range(10)))

    assert list(tail_logs(tmp_path, names=["a", "c"], lines=2)) == [("a", "a8"), ("a", "a9"), ("c", "c8"), ("c", "c9")]


def test_tail_follows_new_lines_new_files_and_rotations(tmp_path):
    (tmp_path / "log").mkdir()
    log = tmp_path / "log" / "a.log"
    write(log, "old\n")
    steps = iter(
        [
            lambda: write(log, "half"),
            lambda: write(log, " line\n"),
            lambda: (os.truncate(log, 0), write(log, "new\n")),
            lambda: write(tmp_path / "log" / "b.log", "other\n"),
        ]
    )
    lines = tail_logs(tmp_path, follow=True, sleep=lambda _: next(steps)())

    assert list(islice(lines, 4)) == [("a", "old"), ("a", "half line"), ("a", "new"), ("b", "other")]
