"""What the product takes while nobody uses it."""

import time
from pathlib import Path

from tests.support.stack import running_haven

MIB = 1024  # smaps_rollup counts in KiB
WORKED = 45.0  # seconds in which each task of the clock has run several times, which is what fills memory


def test_an_idle_stack_fits_into_700_mib() -> None:
    """The sum of the proportional shares of all its processes (proc_pid_smaps(5))."""
    with running_haven() as haven:
        time.sleep(WORKED)
        shares = {pid: _share(pid) for pid in haven.pids}
    assert len(shares) > 15
    assert sum(shares.values()) <= 700 * MIB, shares


def _share(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
