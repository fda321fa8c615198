"""In which order the tests run in several processes: what takes minutes first, so that nobody waits for it at the end.

Files are dealt out whole, one after the other, to whoever is free (`--dist loadfile --no-loadscope-reorder`). Left to
itself pytest-xdist begins with the files of most tests, and the ones with a single test of four minutes come last.
"""

from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
LONGEST = (
    "contract/test_schemathesis.py",
    "integration/gc/test_on_postgresql.py",
    "integration/model/test_on_postgresql.py",
    "integration/jobs/test_worker_process.py",
    "faults/test_killed_processes.py",
    "concurrency/test_sabotage.py",
    "e2e/test_full_stack.py",
    "faults/test_supervision.py",
    "portal/browser",
    "faults/test_big_layer.py",
    "integration/jobs/test_on_postgresql.py",
    "integration/settings/test_on_postgresql.py",
    "faults",
    "concurrency",
    "siege",
    "e2e",
    "conformance",
    "clients",
    "integration/gc",
)
"""Files and folders below tests/, the longest first; the order of the rest does not matter."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort files, never the tests of one file. One process keeps the order everybody knows."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    """The place of the closest entry in LONGEST: a file's own before its folder's."""
    place = path.relative_to(_ROOT)
    for name in (place, *place.parents):
        if name.as_posix() in LONGEST:
            return LONGEST.index(name.as_posix())
    return len(LONGEST)
