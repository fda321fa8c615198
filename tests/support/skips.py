"""What was not run, said at the end; with HAVEN_TEST_REQUIRE_ALL=1 a skipped test fails.

Except for the reasons in tests/environment-reasons.txt: those are facts about the machine that no installation changes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

REASONS = Path(__file__).resolve().parents[1] / "environment-reasons.txt"


@cache
def environment_reasons() -> re.Pattern[str]:
    lines = [line.strip() for line in REASONS.read_text().splitlines()]
    return re.compile("|".join(f"(?:{line})" for line in lines if line and not line.startswith("#")))


def is_environment(reason: str) -> bool:
    return environment_reasons().search(reason) is not None


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or os.environ.get("HAVEN_TEST_REQUIRE_ALL") != "1":
        return
    reason = reason_of(report)
    if not is_environment(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, and HAVEN_TEST_REQUIRE_ALL=1 allows only tests/environment-reasons.txt: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module may be skipped while it is collected."""
    report = yield
    _judge(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [r for r in terminalreporter.stats.get("skipped", []) if not hasattr(r, "wasxfail")]
    if not reports:
        return
    terminalreporter.section("not run here")
    for reason, count in Counter(reason_of(report) for report in reports).most_common():
        kind = "this machine" if is_environment(reason) else "not provisioned"
        terminalreporter.write_line(f"{count:4d}  {reason}  [{kind}]")
