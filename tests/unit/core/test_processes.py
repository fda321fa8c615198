"""Whether a process has ended."""

import os
import subprocess

import pytest

from haven_core.jobs.processes import _started, has_ended, own_process


def named(pid: int) -> str:
    place, _, _ = own_process().rpartition("/")
    return f"{place.rpartition('/')[0]}/{pid}/{_started(pid)}"


def test_this_one_has_not() -> None:
    assert named(os.getpid()) == own_process() != ""
    assert not has_ended(own_process())


def test_one_that_ended_has_also_while_nobody_has_looked_after_it() -> None:
    child = subprocess.Popen(["sleep", "60"])
    name = named(child.pid)
    assert not has_ended(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and still in the table
    assert has_ended(name)
    child.wait()
    assert has_ended(name)


def test_a_number_given_to_another_process_is_not_the_same() -> None:
    place, _, started = own_process().rpartition("/")
    assert has_ended(f"{place}/{int(started) - 1}")


@pytest.mark.parametrize("process", ["", "x", "boot/1/2", "other-boot/4026531836/1/1"])
def test_what_is_elsewhere_can_not_be_known(process: str) -> None:
    assert not has_ended(process)
