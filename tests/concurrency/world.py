"""What the processes of a stress run share: its settings, its projects, its storage, and files that outlive a kill -9."""

import dataclasses
import json
import os
import pathlib
import random
import time
from datetime import timedelta
from typing import Any

from tests.support.documents import digest_of

PROJECTS: dict[str, int | None] = {"tight": 60_000, "free": None, "tighter": 30_000}  # name → quota
SHARED = {
    "tight": ["app", "lib"],
    "free": ["app", "lib"],
    "tighter": ["app"],
}  # never deleted: the ledgers are of these
VICTIM = "victim"  # deleted and restored as a whole, in each project
BLOBS = [random.Random(number).randbytes(100 + 24 * number) for number in range(40)]
DIGESTS = [digest_of(blob) for blob in BLOBS]
HOT = range(14)  # blobs of dance() only: nothing else keeps them
CONTESTED = (14, 15)  # blobs of contest() only
COMMON = range(16, len(BLOBS))
SPARKS = [random.Random(f"spark {number}").randbytes(64) for number in range(60)]  # spark() only: no manifest names one
FEW_TAGS = [f"t{number}" for number in range(5)]


@dataclasses.dataclass
class Run:
    """One run. folder: everything it writes. lease, grace, trash: windows in seconds. focus: one action more often.
    until_blobs: the run is over when so many blobs were collected, or after its seconds; 0: only then."""

    folder: pathlib.Path
    seconds: float = 20.0
    actors: int = 8
    collectors: int = 3
    lease: float = 0.15
    grace: float = 0.0
    trash: float = 0.2
    seed: int = 1
    kill: bool = True
    sabotage: str = ""
    focus: str = ""
    stop_at_first: bool = False
    until_blobs: int = 0
    project_ids: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def stop_file(self) -> pathlib.Path:
        """Workers end when it is there."""
        return self.folder / "stop"

    def set_windows(self, **seconds: float) -> None:
        """Make the windows those of this run, or others; Django must be set up."""
        from django.conf import settings

        values = {
            "upload_lease": self.lease, "head_margin": self.lease / 2, "gc_grace": self.grace,
            "restore_window": self.trash, "untagged_age": 2.0, "upload_ttl": 6.0, "read_grace": 0.0,
        } | seconds  # fmt: skip
        changes: dict[str, Any] = {name: timedelta(seconds=value) for name, value in values.items()}
        settings.HAVEN = dataclasses.replace(settings.HAVEN, **changes)

    def storage(self) -> "SlowStorage":
        """The run's files, as slow as an object store."""
        from haven_registry.storage import open_storage

        return SlowStorage(open_storage(str(self.folder / "storage")))

    def note(self, file: str, **what: Any) -> None:
        """One appended line: survives kill -9 of its writer."""
        handle = os.open(self.folder / file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, (json.dumps(what) + "\n").encode())
        os.close(handle)

    def violation(self, kind: str, **what: Any) -> None:
        """Something that must never happen."""
        self.note("violations", kind=kind, at=time.time(), **what)

    def lines(self, file: str) -> list[dict[str, Any]]:
        """What was noted; a line cut by a kill is left out."""
        path = self.folder / file
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().split("\n") if line.endswith("}")]


class SlowStorage:
    """A storage driver that takes some milliseconds for each write and delete: races need the time."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        if name in ("append", "seal", "delete", "abandon"):
            time.sleep(random.random() * 0.01)
        return getattr(self._driver, name)

    def get(self, key: str) -> bytes:
        """A whole object."""
        return b"".join(self._driver.read(key))
