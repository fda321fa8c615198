"""Schemathesis calls every operation of Haven's own OpenAPI document with what nobody thought of: nothing is a 5xx.

On a stack of its own, as the administrator: the calls may change anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.stack import HavenServer, running_haven

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

BUDGET_SECONDS = 40.0  # for all operations together
EXAMPLES = 20  # at most, for one; drawing them takes longer than sending them


@pytest.fixture(scope="module")
def server() -> Iterator[HavenServer]:
    with running_haven() as running:
        yield running


def test_no_call_fails_inside(server: HavenServer) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/api/v2.0/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 5
    for operation in operations:
        calls, failures = call_it(operation, server, BUDGET_SECONDS / len(operations))
        assert failures == []
        assert calls, f"{operation.label} was not called in its time"


def call_it(operation: Any, server: HavenServer, seconds: float) -> tuple[int, list[str]]:
    """How often an operation was called within its time, and which calls were answered with a 5xx."""
    failures: list[str] = []
    calls, until = 0, time.monotonic() + seconds

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), is_named=st.booleans())
    def probe(data: st.DataObject, is_named: bool) -> None:
        nonlocal calls
        case = data.draw(operation.as_strategy())  # drawn even when time is up: what is drawn must not depend on it
        if calls and time.monotonic() > until:
            return
        answer = case.call(auth=(server.admin_user, server.admin_password) if is_named else None, timeout=20)
        calls += 1
        if answer.status_code >= 500:
            failures.append(f"{answer.status_code}: {case.as_curl_command()[:2000]}")

    probe()
    return calls, failures
