"""Five minutes of everything at once; see the module's head."""

import pytest

from tests.siege.__main__ import besiege


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
