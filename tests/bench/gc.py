"""How fast garbage collection is: fills a registry, then times the dry run and the run, bytes included.

    python -m tests.support.postgres python -m tests.bench.gc                         200,000 manifests, 500,000 blobs
    python -m tests.support.postgres python -m tests.bench.gc --manifests 2000 --blobs 5000 --garbage 1000
    python -m tests.support.postgres python -m tests.bench.gc --garbage 20000 --s3       bytes on a real S3 server

Uses the database of HAVEN_DATABASE_URL, which must be empty, and a folder below --folder for the files of what is
collected (the others have rows only). Both runs are made by a process of their own, whose memory is told.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.seaweedfs import run_seaweedfs

ROOT = Path(__file__).parents[2]
PROJECTS, REPOSITORIES = 10, 10  # repositories in each project
BLOB_BYTES = 4096


def main() -> int:
    """Print the figures, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifests", type=int, default=200_000)
    parser.add_argument("--blobs", type=int, default=500_000)
    parser.add_argument("--garbage", type=int, default=100_000, help="of the blobs, those that nothing names")
    parser.add_argument("--folder", help="where the storage is made (default: the system's temporary folder)")
    parser.add_argument("--s3", action="store_true", help="store the bytes in SeaweedFS instead of files")
    parser.add_argument("--measure", choices=("dry_run", "run"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(is_dry=options.measure == "dry_run")
    with ExitStack() as life:
        folder = life.enter_context(tempfile.TemporaryDirectory(prefix="haven-bench-", dir=options.folder))
        if options.s3:
            os.environ |= _s3_settings(life, Path(folder))
        packages = [str(ROOT), *sorted({str(path.parent.parent) for path in ROOT.glob("*/haven_*/__init__.py")})]
        os.environ |= {
            "HAVEN_DATA_DIR": folder,
            "HAVEN_RESTORE_WINDOW_DAYS": "0",
            "HAVEN_GC_GRACE_HOURS": "0",
            "DJANGO_SETTINGS_MODULE": "haven_project.settings",
            "PYTHONPATH": os.pathsep.join(packages),
        }
        sys.path[:0] = packages
        began = time.monotonic()
        seed(options.manifests, options.blobs, options.garbage)
        print(f"seeded in {time.monotonic() - began:.0f} s: {options.manifests} manifests, {options.blobs} blobs")
        for what in ("dry_run", "run"):
            child = [sys.executable, "-m", "tests.bench.gc", "--measure", what]
            figures = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
            rate = figures["purged_blobs"] / figures["seconds"]
            print(
                f"{what}: {figures['seconds']:.1f} s, {figures['purged_blobs']} blobs ({rate:.0f} a second), "
                f"{figures['log_lines']} lines of log, peak memory {figures['peak_mib']:.0f} MiB"
            )
    return 0


def _s3_settings(life: ExitStack, folder: Path) -> dict[str, str]:
    (folder / "weed").mkdir()
    bucket = life.enter_context(run_seaweedfs(folder / "weed"))
    return {
        "HAVEN_STORAGE_URL": f"s3://{bucket.bucket}?endpoint={bucket.endpoint}&region=us-east-1",
        "HAVEN_S3_ACCESS_KEY": bucket.access_key,
        "HAVEN_S3_SECRET_KEY": bucket.secret_key,
    }


def measure(*, is_dry: bool) -> int:
    """One run in this process; figures as JSON."""
    import django

    django.setup()
    from haven_core.jobs import selectors, services
    from haven_core.jobs.runner import run_task
    from haven_gc import job

    execution_id = services.start_execution(job.KIND, job.checked_parameters({"dry_run": is_dry}), is_held=True)
    [task_id] = selectors.task_ids(execution_id)
    began = time.monotonic()
    run_task(task_id, "bench")
    seconds = time.monotonic() - began
    task = selectors.find_task(task_id)
    assert task.status == "Success", task.error
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**task.result, "seconds": seconds, "log_lines": task.log_lines, "peak_mib": peak}))
    return 0


def seed(manifests: int, blobs: int, garbage: int, due_in: float = 0) -> None:
    """Tagged manifests share out the blobs that are no garbage; rows are written behind the services' back.

    due_in: seconds until garbage may be collected.
    """
    import django

    django.setup()
    from django.core.management import call_command
    from django.utils import timezone

    from haven_core.models import Project, ProjectQuota
    from tests.support.site import seen_repository

    call_command("migrate", verbosity=0)
    now = timezone.now()
    repositories: list[tuple[int, int]] = []
    for number in range(PROJECTS):
        project_id = Project.objects.create(name=f"bench{number}").id
        ProjectQuota.objects.create(project_id=project_id)
        repositories += [(seen_repository(project_id, f"r{n}"), project_id) for n in range(REPOSITORIES)]
    links = _insert_blobs(blobs, garbage, repositories, now, now + timedelta(seconds=due_in))
    _insert_manifests(manifests, links[garbage:], repositories, now)
    from haven_gc import fsck, repair

    repair.recount_quotas()
    broken = fsck.check()
    assert not broken, broken


def _insert_blobs(
    count: int, garbage: int, repositories: list[tuple[int, int]], now: datetime, due: datetime
) -> list[tuple[int, int]]:
    """Blob number i belongs to repository i % len(repositories), the first `garbage` ones go. (link, repository)s."""
    from haven_core.db import backend
    from haven_registry.models import Blob, ProjectBlob, RepositoryBlob, StorageObject
    from haven_registry.storage.keys import new_key
    from haven_registry.store import driver

    made: list[tuple[int, int]] = []
    payload = b"\0" * BLOB_BYTES
    for start in range(0, count, 5000):
        numbers = range(start, min(start + 5000, count))
        keys = [new_key() for _ in numbers]
        with_bytes = keys[: max(0, garbage - start)]
        if driver().name == "filesystem":
            for path in filter(None, map(driver().local_path, with_bytes)):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(payload)  # unsynced, unlike driver().put(): the bench must not wait for its seed
        else:
            with ThreadPoolExecutor(16) as threads:
                list(threads.map(lambda key: driver().put(key, payload), with_bytes))
        objects = backend.insert(
            StorageObject, ["storage_key", "state", "created_at"], [(key, "live", now) for key in keys]
        )
        digests = ["sha256:" + uuid.uuid4().hex * 2 for _ in numbers]
        rows = [(digest, BLOB_BYTES, row[0], now) for digest, row in zip(digests, objects, strict=True)]
        ids = [row[0] for row in backend.insert(Blob, ["digest", "size", "object", "created_at"], rows)]
        where = [repositories[number % len(repositories)] for number in numbers]
        charges = backend.insert(
            ProjectBlob, ["project", "blob", "size"],
            [(project, blob, BLOB_BYTES) for (_, project), blob in zip(where, ids, strict=True)],
        )  # fmt: skip
        links = backend.insert(
            RepositoryBlob, ["repository", "project_blob", "keep_until", "review_at"],
            [
                (repository, charge[0], due if number < garbage else now, due if number < garbage else None)
                for number, (repository, _), charge in zip(numbers, where, charges, strict=True)
            ],
        )  # fmt: skip
        made += [(link[0], repository) for link, (repository, _) in zip(links, where, strict=True)]
    return made


def _insert_manifests(
    count: int, links: list[tuple[int, int]], repositories: list[tuple[int, int]], now: datetime
) -> None:
    """Each manifest names its share of its repository's blobs, and has a tag."""
    from haven_core.db import backend
    from haven_registry.models import Manifest, ManifestBlob, Tag

    waiting: dict[int, list[int]] = {}
    for link, repository in links:
        waiting.setdefault(repository, []).append(link)
    each = -(-len(links) // count)
    for start in range(0, count, 5000):
        where = [repositories[number % len(repositories)][0] for number in range(start, min(start + 5000, count))]
        columns = [
            "repository", "digest", "media_type", "payload", "payload_size", "pushed_at", "artifact_type",
            "config_media_type", "kind", "accessory_type", "pushed_by", "total_size",
        ]  # fmt: skip
        media_type = "application/vnd.oci.image.manifest.v1+json"
        rows = [
            (repository, "sha256:" + uuid.uuid4().hex * 2, media_type, b"{}", 2, now, "", "", "IMAGE", "", "", 0)
            for repository in where
        ]
        ids = [row[0] for row in backend.insert(Manifest, columns, rows)]
        named = []
        for manifest, repository in zip(ids, where, strict=True):
            mine = waiting.get(repository, [])
            named += [(manifest, position, mine.pop(), "layer") for position in range(min(each, len(mine)))]
        backend.insert(ManifestBlob, ["manifest", "position", "repository_blob", "role"], named)
        tags = [(repository, f"t{manifest}", manifest, now) for manifest, repository in zip(ids, where, strict=True)]
        backend.insert(Tag, ["repository", "name", "manifest", "updated_at"], tags)


if __name__ == "__main__":
    sys.exit(main())
