"""The official conformance suite against the running stack, and what its judge makes of bad reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.conformance import VERSIONS, judge, run_suite
from tests.support.stack import HavenServer
from tests.support.tools import requires

SUMMARY = "config:\n  version: dev\napis:\n  Ping: Pass\n  Tag listing: {api}\ndata:\n  Image: Pass\n  Index: {data}\n"
JUNIT = """<testsuites tests="3" failures="{failures}" skipped="{skipped}">
<testsuite name="s" tests="3" failures="{failures}" errors="{errors}" skipped="{skipped}" disabled="{disabled}">
<testcase name="OCI Conformance Test/ping" status="passed"/>
<testcase name="OCI Conformance Test/other" status="{status}"><system-out>why</system-out></testcase>
</testsuite></testsuites>
"""


@requires("conformance")
@pytest.mark.parametrize("version", VERSIONS)
def test_haven_conforms(haven: HavenServer, version: str, tmp_path: Path) -> None:
    verdict = run_suite(haven, version, tmp_path / "results")
    assert verdict.problems == [], str(verdict)
    assert verdict.cases > 500


def write(folder: Path, junit: dict[str, object], **summary: str) -> Path:
    counts = {"failures": 0, "errors": 0, "skipped": 0, "disabled": 0, "status": "passed"} | junit
    (folder / "junit.xml").write_text(JUNIT.format(**counts))
    (folder / "results.yaml").write_text(SUMMARY.format(**({"api": "Pass", "data": "Pass"} | summary)))
    return folder


def test_judge_accepts_passed_and_disabled(tmp_path: Path) -> None:
    assert judge("dev", write(tmp_path, {})).problems == []
    disabled = judge("dev", write(tmp_path, {"disabled": 1, "status": "skipped"}, data="Disabled"))
    assert disabled.problems == []
    assert (disabled.passed, disabled.disabled) == (1, 1)


@pytest.mark.parametrize(
    "junit",
    [
        {"skipped": 1, "status": "skipped"},
        {"failures": 1, "status": "failure"},
        {"errors": 1, "status": "error"},
        {"status": "failure"},
        {"failures": 1},
    ],
    ids=["skip", "failure", "error", "uncounted failure", "counted failure not listed"],
)
def test_judge_refuses_what_the_exit_code_may_not_show(tmp_path: Path, junit: dict[str, object]) -> None:
    assert judge("dev", write(tmp_path, junit)).problems


@pytest.mark.parametrize("status", ["FAIL", "Skip", "Error", "Unknown"])
def test_judge_reads_the_summary_too(tmp_path: Path, status: str) -> None:
    assert judge("dev", write(tmp_path, {}, api=status)).problems == [f"API Tag listing: {status}"]
    assert judge("dev", write(tmp_path, {}, data=status)).problems == [f"data set Index: {status}"]


def test_judge_refuses_missing_and_broken_reports(tmp_path: Path) -> None:
    assert judge("dev", tmp_path).problems
    write(tmp_path, {})
    (tmp_path / "results.yaml").write_text("config:\n  version: dev\n")
    assert judge("dev", tmp_path).problems == ["results.yaml lists no API", "results.yaml lists no data set"]
    (tmp_path / "junit.xml").write_text("<testsuites><testsuite")
    assert judge("dev", tmp_path).problems
