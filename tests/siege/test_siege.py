"""Everything at once, for a minute and for five; see the module's head.

The short one runs alone (`haven test tests/siege`, and CI does): beside other tests on two cores a worker that is killed every
few seconds may need longer than that to come back, and a job then gets nowhere for minutes.
"""

import pytest

from tests.siege.__main__ import besiege

DONE = {"pulled", "uploaded", "moved", "deleted", "immutable_refused", "retention_runs", "gc_Success"}


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_short_one() -> None:
    """The real processes on PostgreSQL and S3: every part of the siege takes part."""
    found = besiege(50, clients=4, servers=True, needed=DONE)
    assert found["violations"] == [], found
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert counts.keys() >= DONE, found
    assert sum(number for what, number in counts.items() if what.startswith("killed_")) > 3, found


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("servers", [True, False], ids=["PostgreSQL and S3", "SQLite and files"])
def test_nothing_acknowledged_is_lost(servers: bool) -> None:
    found = besiege(300, clients=5, servers=servers)
    assert found["violations"] == [], found
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert counts["pulled"] > 500, found
    assert min(counts[what] for what in ("restored", "restored_immutable", "rolled_back")) > 0, found
