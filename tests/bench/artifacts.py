"""How fast a page of artifacts is: a repository of 10,000 artifacts and 50,000 tags, 100 a page, with all there is to show.

    python -m tests.support.postgres python -m tests.bench.artifacts
    python -m tests.support.postgres python -m tests.bench.artifacts --explain

Uses the database of HAVEN_DATABASE_URL, which must be empty. Times are those of the selector, without HTTP and JSON. On a
busy machine only the processor time says something.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
QUERIES = {
    "all": "",
    "type=IMAGE": "type=IMAGE",
    "type=CHART": "type=CHART",
    "tags=*": "tags=*",
    "tags=~t4": "tags=~t4",
}


def main() -> int:
    """Print the figures, a line for each query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=int, default=10_000)
    parser.add_argument("--tags", type=int, default=5, help="of each artifact")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--explain", action="store_true", help="print the plans of the slowest statements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="haven-bench-") as folder:
        packages = [str(ROOT), *sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})]
        os.environ |= {"HAVEN_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "haven_project.settings"}
        sys.path[:0] = packages
        import django

        django.setup()
        repository = seed(options.artifacts, options.tags)
        for name, query in QUERIES.items():
            measure(repository, name, query, options.artifacts, options.rounds, explains=options.explain)
    return 0


def seed(artifacts: int, tags: int) -> int:
    """Rows as pushes would leave them: artifacts explained, one in ten signed by a referrer, labelled and pulled."""
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from haven_core.labels.models import Label
    from haven_core.models import Project
    from haven_registry import models

    call_command("migrate", verbosity=0)
    now = timezone.now()
    project = Project.objects.create(name="bench")
    repository = models.Repository.objects.create(project=project, name="app", full_name="bench/app")
    label = Label.objects.create(name="ready", created_at=now, updated_at=now)

    def manifest(number: int, subject: str | None = None) -> models.Manifest:
        kind = "application/vnd.oci.image.config.v1+json" if number % 4 else "application/vnd.cncf.helm.config.v1+json"
        return models.Manifest(
            repository=repository, digest=f"sha256:{number + (10**9 if subject else 0):064x}", payload=b"{}" * 400,
            media_type="application/vnd.oci.image.manifest.v1+json", config_media_type=kind, payload_size=800,
            total_size=10**7, subject_digest=subject, pushed_at=now - timedelta(seconds=number),
        )  # fmt: skip

    rows = models.Manifest.objects.bulk_create([manifest(number) for number in range(artifacts)], batch_size=1000)
    some = rows[::10]
    models.Manifest.objects.bulk_create([manifest(n, row.digest) for n, row in enumerate(some)], batch_size=1000)
    extra = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"] * 5}}
    details = [
        models.ArtifactDetail(
            manifest=row, extra=extra, annotations={}, children=[], history=[{"created_by": "RUN"}] * 9
        )
        for row in models.Manifest.objects.all()
    ]
    models.ArtifactDetail.objects.bulk_create(details, batch_size=1000)
    names = [
        models.Tag(repository=repository, name=f"t{number}-{row.pk}", manifest=row, updated_at=now)
        for row in rows for number in range(tags)
    ]  # fmt: skip
    models.Tag.objects.bulk_create(names, batch_size=2000)
    models.ArtifactLabel.objects.bulk_create([models.ArtifactLabel(manifest=row, label=label) for row in some])
    models.PullDaily.objects.bulk_create([
        models.PullDaily(
            repository=repository, manifest_digest=row.digest, tag_name="", day=now.date(), pulls=3, last_pulled_at=now
        ) for row in some
    ])  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return repository.pk


def processor_seconds() -> float:
    """Of this process, and of the server's that works for it, where that is on this machine."""
    from django.db import connection

    spent = time.process_time()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            fields = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def measure(repository: int, name: str, text: str, artifacts: int, rounds: int, *, explains: bool) -> None:
    """Time pages from the first to the last."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from haven_api.query import parse_conditions
    from haven_core.domain.conditions import ListQuery
    from haven_registry.artifact_list import EVERYTHING, list_artifacts
    from haven_registry.storage import open_storage

    driver, conditions = open_storage("memory://"), parse_conditions(text)
    times = []
    before = processor_seconds()

    def page(offset: int) -> Any:
        return list_artifacts(repository, ListQuery(conditions, (), offset=offset, limit=100), driver, EVERYTHING)

    for number in range(rounds):
        offset = artifacts * number // rounds // 100 * 100
        began = time.perf_counter()
        _, total = page(offset)
        times.append((time.perf_counter() - began) * 1000)
    p95 = statistics.quantiles(times, n=20)[-1]
    cpu = (processor_seconds() - before) * 1000 / rounds
    print(
        f"{name}: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, {cpu:.0f} ms of processor time, "
        f"{total} artifacts"
    )
    if explains:
        with CaptureQueriesContext(connection) as captured:
            page(artifacts // 2)
        for query in sorted(captured, key=lambda each: -float(each["time"]))[:2]:
            print(query["time"], query["sql"][:1500])
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {query['sql']}")
                print("\n".join(str(row[0]) for row in cursor.fetchall()))


if __name__ == "__main__":
    sys.exit(main())
