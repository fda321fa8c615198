"""Which tests are slow, and in which order tests run in several processes.

Slow are files that kill processes over and over, drive a browser, fuzz, or play other tests on PostgreSQL: most of the
minutes, few of the tests. `haven test` leaves them out, `haven test --slow` runs them alone, CI runs both.

Files are dealt out whole, one after the other, to whoever is free (`--dist loadfile --no-loadscope-reorder`). Left to
itself pytest-xdist begins with the files of most tests, and the ones with a single test of four minutes come last. So
what takes minutes runs first, and nobody waits for it at the end.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
LONGEST = (
    "portal/browser/test_pushed.py",
    "portal/browser/test_looks.py",
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
    "concurrency",
    "faults",
    "e2e",
    "conformance",
    "clients",
    "integration/gc",
)
"""Files and folders below tests/, the longest first; the order of the rest does not matter."""
SLOW = frozenset(
    {
        "contract/test_schemathesis.py",
        "e2e/test_memory.py",
        "faults",
        "integration/gc/test_on_postgresql.py",
        "integration/jobs/test_on_postgresql.py",
        "integration/jobs/test_worker_process.py",
        "integration/model/test_on_postgresql.py",
        "integration/settings/test_on_postgresql.py",
        "portal/browser",
    }
)
"""Files and folders below tests/ whose tests are marked slow."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is slow."""
    if any(name in SLOW for name in _names(item.path)):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort files, never the tests of one file. One process keeps the order everybody knows."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    """The place of the closest entry in LONGEST: a file's own before its folder's."""
    for name in _names(path):
        if name in LONGEST:
            return LONGEST.index(name)
    return len(LONGEST)


def _names(path: Path) -> Iterable[str]:
    """A file and its folders, the innermost first, as the lists above name them."""
    place = path.relative_to(_ROOT)
    return (name.as_posix() for name in (place, *place.parents))
