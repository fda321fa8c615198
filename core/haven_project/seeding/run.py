"""The whole seed: one transaction, so a database is either as it was or full."""

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from haven_core.db.bulk import refresh_statistics, settle_ids, without_keys
from haven_core.db.transactions import write_transaction
from haven_core.models import Project, ProjectQuota, User
from haven_core.projects.services import LIBRARY
from haven_project.seeding import content, people, words
from haven_project.seeding.progress import Progress
from haven_project.seeding.scale import Scale
from haven_registry.models import Manifest
from haven_registry.storage.driver import StorageDriver

END = datetime(2026, 1, 1, tzinfo=UTC)
"""The last moment of what is seeded: fixed, so that the same seed gives the same digests on every day."""

_TABLES = (*people.TABLES, *content.TABLES)


class NotEmpty(Exception):
    """The database holds something, or what the seed would make; the text says what."""


def seed(
    scale: Scale,
    driver: StorageDriver,
    *,
    number: int = 1,
    password_hash: str = "",
    adds: bool = False,
    show: Callable[[str], None] = lambda _: None,
) -> None:
    """Fill the database. `number`: the same one gives the same names, digests and sizes. adds: also beside other data.

    For a database nobody uses meanwhile: rows are written behind the services' back, and on PostgreSQL the tables are
    locked until the end. Bytes go to the storage first; when the rest fails they are orphans, as after a lost upload
    (`haven fsck --repair`). Raises ScaleError, NotEmpty, StorageError. Locks: everything.
    """
    scale.check()
    rng = Random(number)  # noqa: S311  # data to look at, no secret
    progress = Progress(scale.artifacts, show)
    with write_transaction():
        _check_room(scale, adds=adds)
        with without_keys(_TABLES):
            projects = people.seed_people(scale, rng, END, password_hash)
            content.seed_content(scale, rng, END, projects, driver, progress)
            progress.step("keys and indexes")
        for model in _TABLES:
            if model is not ProjectQuota:
                settle_ids(model)
    progress.step("statistics of the tables")
    refresh_statistics(_TABLES)


def _check_room(scale: Scale, *, adds: bool) -> None:
    """Raises NotEmpty."""
    if not adds:
        others = Project.objects.exclude(name=LIBRARY)
        if others.exists() or Manifest.objects.filter(deleted_at=None).exists():
            raise NotEmpty("there are projects or artifacts already; --add seeds beside them")
        return
    taken = Project.objects.filter(name__in=words.project_names(scale.projects), deleted_at=None)
    if name := taken.values_list("name", flat=True).first():
        raise NotEmpty(f"there is a project {name} already: was this database seeded before?")
    people_there = User.objects.filter(username__in=words.usernames(scale.users), deleted_at=None)
    if name := people_there.values_list("username", flat=True).first():
        raise NotEmpty(f"there is a user {name} already: was this database seeded before?")
