"""The other processes of a stress run: garbage collectors, and the checker."""

import random
import time
from collections import Counter
from datetime import timedelta

from haven_core.db import backend
from haven_gc import collect, fsck, sweep
from haven_gc.uploads import reap_uploads
from haven_registry.models import Manifest, ManifestBlob
from haven_registry.storage.errors import ObjectMissing
from tests.concurrency.world import Run

KEY = "repository_blob__project_blob__blob__object__storage_key"


class Collector:
    """Collects a project at random, reaps and sweeps, all the time."""

    def __init__(self, run: Run, slot: int, seed: int) -> None:
        self.run, self.random, self.count = run, random.Random(seed), Counter[str]()
        self.storage = run.storage()

    def step(self) -> None:
        """One pass."""
        project = self.random.choice(list(self.run.project_ids.values()))
        is_scan = self.random.random() < 0.3
        done = collect.collect(project, delete_untagged=self.random.random() < 0.3, scan=is_scan)
        if is_scan:
            done["blobs"] += sum(freed.blobs for freed in collect.purge_unused_blobs())
        self.count += done
        time.sleep(self.random.random() * (0.03 if collect.was_idle(done) else 0.005))
        self.count["reaped"] += reap_uploads()
        self.count["swept"] += sweep.sweep(self.storage, claim=timedelta(seconds=5)).removed  # type: ignore[arg-type]


class Checker:
    """Looks for what must never be.

    Invariants, and: every manifest row that is there, live or trashed, has all its bytes. Purged ids never come back, so a
    row that is still there after its files were looked for should have had them.
    """

    def __init__(self, run: Run, slot: int, seed: int) -> None:
        self.run, self.count, self.storage = run, Counter[str](), run.storage()

    def step(self) -> None:
        """Everything once."""
        for name, number in fsck.check().items():
            self.run.violation(name, number=number)
        [(overrun,)] = backend.sql("SELECT count(*) FROM project_quota WHERE used_bytes > hard_bytes")
        if overrun:
            self.run.violation("quota_overrun", number=overrun)
        self.count["fsck"] += 1
        lost: dict[int, str] = {}
        rows = list(ManifestBlob.objects.values_list("manifest_id", KEY))
        for manifest_id, key in rows:
            try:
                self.storage.size(key)
            except ObjectMissing:
                lost[manifest_id] = key
        for manifest_id in Manifest.objects.filter(id__in=lost).values_list("id", flat=True):
            self.run.violation("bytes_missing", manifest=manifest_id, key=lost[manifest_id])
        self.count["manifest_blobs_checked"] += len(rows)
        time.sleep(0.2)
