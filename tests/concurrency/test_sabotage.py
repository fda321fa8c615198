"""The stress test's own test: each wrong variant of the model must be caught, by the violation it is known for.

On SQLite only those that look outside the transaction in which they write: with one writer at a time a lock that is too
weak, an order of locks, or a sum made in Python is not wrong there.
"""

import pytest

from tests.concurrency.conftest import Stress

CAUGHT_AS = {
    ("bytes_first", "dance"): {
        "bytes_missing", "gc_stopped_by_foreign_key", "acknowledged_manifest_not_pullable", "ledger_at_end",
    },
    ("bytes_first", "spark"): {"shown_without_bytes", "gc_stopped_by_foreign_key"},
    ("no_recheck", "dance"): {"gc_stopped_by_foreign_key", "broken_promise"},  # whichever of the two is first
    ("key_share_only", "contest"): {"tag_names_trash", "live_index_with_trashed_child"},
    ("quota_early", "dance"): {"deadlock", "deadlocks_in_server_statistics"},
    ("drift", "dance"): {"quota_drift"},
}  # fmt: skip
WRONG_ON_SQLITE = (("bytes_first", "dance"), ("no_recheck", "dance"))
CASES = [("postgresql", *case) for case in CAUGHT_AS] + [("sqlite", *case) for case in WRONG_ON_SQLITE]


@pytest.mark.parametrize(("database", "sabotage", "focus"), CASES)
def test_a_wrong_variant_is_caught(stress: Stress, database: str, sabotage: str, focus: str):
    options = (f"--sabotage={sabotage}", f"--focus={focus}", "--no-kill", "--stop-at-first", "--seconds=60")
    answer = stress(database, *options)
    assert answer["exit_code"] == 1
    assert answer["violations"].keys() & CAUGHT_AS[sabotage, focus], answer["details"]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("focus", ["dance", "contest"])
def test_the_right_variant_is_not(stress: Stress, focus: str):
    answer = stress("postgresql", f"--focus={focus}", "--no-kill", "--seconds=60")
    assert (answer["violations"], answer["exit_code"]) == ({}, 0), answer["details"]
