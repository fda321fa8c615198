"""Run the OCI conformance suite and judge it by its reports.

The suite's exit code is no verdict: a skipped case does not fail it. A run passes when its reports are complete and hold
no failure, no error and no skip; only what the configuration turned off may be disabled.

    python -m tests.support.conformance --storage filesystem            # starts Haven, runs both versions
    python -m tests.support.conformance --storage s3                    # the same on a real S3 server
    python -m tests.support.conformance --registry URL,USER,PASSWORD    # some running registry
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.support.provision import TOOLS
from tests.support.stack import HavenServer, external_server, running_haven

BINARY = TOOLS / "bin" / "conformance"
VERSIONS = ("stable", "dev")  # dev: what the specification's main branch adds after its last release
RUN_LIMIT = 240.0

_REPORT_LINE = re.compile(r"^  (\S.*): (\S+)$", re.MULTILINE)


@dataclass
class Verdict:
    """What the reports of one run say. `problems`: one line each; empty means it conforms."""

    version: str
    cases: int = 0
    passed: int = 0
    disabled: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = f"OCI conformance {self.version}: {self.passed} of {self.cases} passed, {self.disabled} disabled"
        return f"{head}: {'ok' if not self.problems else f'{len(self.problems)} problems'}"


def judge(version: str, results: Path) -> Verdict:
    """Read junit.xml (every case) and results.yaml (every API and data set)."""
    verdict = Verdict(version)
    try:
        suite = ElementTree.parse(results / "junit.xml").getroot().find("testsuite")
        summary = (results / "results.yaml").read_text()
    except (OSError, ElementTree.ParseError) as error:
        verdict.problems.append(f"no report: {error}")
        return verdict
    if suite is None:
        verdict.problems.append("junit.xml holds no suite")
        return verdict
    counts = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped", "disabled")}
    cases = suite.findall("testcase")
    verdict.disabled = counts["disabled"]
    verdict.cases = len(cases)
    verdict.passed = sum(case.get("status") == "passed" for case in cases)
    bad = [case for case in cases if case.get("status") != "passed"]
    forgiven = [case for case in bad if case.get("status") == "skipped" and not case.findtext("system-out")]
    if counts["failures"] + counts["errors"] + counts["skipped"] or len(bad) > counts["disabled"]:
        # a disabled case looks like a skipped one without a reason; it is named only when nothing else explains the counts
        named = [case for case in bad if case not in forgiven] or bad
        verdict.problems += [_describe(case) for case in named] or [f"junit.xml counts {counts}"]
    if not verdict.passed:
        verdict.problems.append("not one case passed")
    verdict.problems += _summary_problems(summary)
    return verdict


def _describe(case: ElementTree.Element) -> str:
    said = " ".join((case.findtext("system-out") or "").split())
    return f"{case.get('status')}: {case.get('name', '').removeprefix('OCI Conformance Test/')}: {said[:300]}"


def _summary_problems(summary: str) -> list[str]:
    """The lists `apis:` and `data:` at the end of results.yaml."""
    apis, _, data = summary.partition("\napis:\n")[2].partition("\ndata:\n")
    lists = {"API": dict(_REPORT_LINE.findall(apis)), "data set": dict(_REPORT_LINE.findall(data))}
    problems = [f"results.yaml lists no {kind}" for kind, found in lists.items() if not found]
    for kind, found in lists.items():
        problems += [f"{kind} {name}: {status}" for name, status in found.items() if status not in ("Pass", "Disabled")]
    return problems


def run_suite(server: HavenServer, version: str, results: Path, *, limit: float = RUN_LIMIT) -> Verdict:
    """One run in two repositories of a new project; its reports stay in `results`.

    One project, because a mount that names no source looks only there: a blob of another project is none of its business.
    """
    results.mkdir(parents=True, exist_ok=True)
    for old in ("junit.xml", "results.yaml"):
        (results / old).unlink(missing_ok=True)
    project = server.create_project(f"conformance-{uuid.uuid4().hex[:10]}")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OCI_")},
        "OCI_REGISTRY": server.host_port,
        "OCI_TLS": "enabled" if server.url.startswith("https") else "disabled",
        "OCI_REPO1": f"{project}/one",
        "OCI_REPO2": f"{project}/two/deeper",
        "OCI_USERNAME": server.admin_user,
        "OCI_PASSWORD": server.admin_password,
        "OCI_VERSION": version,
        "OCI_LOG": "warn",
        "OCI_RESULTS_DIR": str(results),
    }
    with (results / "output.txt").open("wb") as output, contextlib.suppress(subprocess.TimeoutExpired):
        command = [str(BINARY)]
        subprocess.run(
            command, env=environment, stdout=output, stderr=output, timeout=limit, check=False, cwd=results
        )  # killed at the limit, it leaves no report, which judge() says
    return judge(version, results)


@contextlib.contextmanager
def registry(storage: str, external: str | None) -> Iterator[HavenServer]:
    """A registry to judge: the external one, or Haven with blobs in its folder or on SeaweedFS."""
    if external:
        yield external_server(external)
    elif storage == "filesystem":
        with running_haven() as server:
            yield server
    else:
        from tests.support.seaweedfs import run_seaweedfs

        with tempfile.TemporaryDirectory(prefix="weed-") as folder, run_seaweedfs(Path(folder)) as s3:
            environment = {
                "HAVEN_STORAGE_URL": f"s3://{s3.bucket}/conformance?endpoint={s3.endpoint}&region=us-east-1",
                "HAVEN_S3_ACCESS_KEY": s3.access_key,
                "HAVEN_S3_SECRET_KEY": s3.secret_key,
            }
            with running_haven(environment=environment) as server:
                yield server


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--storage", choices=("filesystem", "s3"), default="filesystem")
    parser.add_argument("--registry", metavar="URL,USER,PASSWORD", help="judge this registry; nothing is started")
    parser.add_argument("--version", choices=VERSIONS, action="append", help="once or more; both without it")
    parser.add_argument("--results", type=Path, default=TOOLS.parent / "conformance", help="folder of the reports")
    options = parser.parse_args(arguments)
    if not BINARY.exists():
        print(f"conformance: {BINARY} is missing; run tests/support/provision.py", file=sys.stderr)
        return 2
    failed = False
    with registry(options.storage, options.registry) as server:
        for version in options.version or VERSIONS:
            verdict = run_suite(server, version, options.results.absolute() / options.storage / version)
            print(f"{verdict} ({options.storage}; reports in {options.results / options.storage / version})")
            for problem in verdict.problems:
                print(f"  {problem}")
            failed |= bool(verdict.problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
