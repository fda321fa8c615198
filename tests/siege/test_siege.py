"""Five minutes of everything at once; see the module's head."""

import pytest

from tests.siege.__main__ import besiege


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("servers", [True, False], ids=["PostgreSQL and S3", "SQLite and files"])
def test_nothing_acknowledged_is_lost(servers: bool) -> None:
    found = besiege(300, clients=5, servers=servers)
    assert found["violations"] == [], found
    assert found["counts"]["pulled"] > 500, found  # type: ignore[index]
