"""Repositories: make, hold, delete, restore."""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from haven_core.configuration.selectors import restore_window
from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.origin import HAVEN, Origin
from haven_core.errors import Conflict, ProjectUnknown
from haven_core.events.outbox import publish
from haven_core.policies.hooks import HeldRepository, before_delete
from haven_core.visibility import LATELY_SECONDS, take_away
from haven_registry.errors import RepositoryUnknown
from haven_registry.models import Repository, Tag, Upload

_HELD = ("id", "project_id", "name", "full_name", "appeared_at")


def get_or_create_repository(project_id: int, name: str) -> int:
    """The id of the project's live repository `name`, made if need be; people see it with its first manifest.

    Raises ProjectUnknown for a deleted project. Locks, only when it creates: project (SHARE).
    """
    find = "SELECT id FROM repository WHERE project_id = %s AND name = %s AND deleted_at IS NULL"

    def create() -> int:
        now = timezone.now()
        projects = backend.sql(
            "SELECT name, EXISTS (SELECT 1 FROM repository r WHERE r.project_id = project.id AND r.name = %s "
            "AND r.deleted_at > %s) FROM project WHERE id = %s AND deleted_at IS NULL" + backend.lock("SHARE", "project"),
            name, now - timedelta(seconds=LATELY_SECONDS), project_id,
        )  # fmt: skip
        if not projects:
            raise ProjectUnknown
        if projects[0][1]:
            take_away()  # another of the name, whose tags readers may remember
        full_name = f"{projects[0][0]}/{name}"
        rows = backend.insert(
            Repository, ["project", "name", "full_name", "created_at"],
            [(project_id, name, full_name, now)], on_conflict="DO NOTHING",
        )  # fmt: skip
        repository_id: int = (rows or backend.sql(find, project_id, name))[0][0]
        return repository_id

    if rows := backend.prepared(find, project_id, name):
        return int(rows[0][0])
    return run_write(create)


def hold_repository(repository: int | str) -> HeldRepository:
    """First lock of a write below a repository, by its id or full name, and what hooks want to know of it. Raises
    RepositoryUnknown.

    Lock: repository (KEY SHARE): shared by all pushers, refused to purge.
    """
    rows = backend.prepared(
        f"SELECT {', '.join(_HELD)} FROM repository WHERE {'full_name' if isinstance(repository, str) else 'id'} = %s "
        "AND deleted_at IS NULL" + backend.lock("KEY SHARE", "repository"),
        repository,
    )
    if not rows:
        raise RepositoryUnknown
    return _held(*rows[0])


def lock_repository(repository_id: int) -> None:
    """hold_repository's lock for a transaction that finds out in its next statement whether the repository is live."""
    if backend.is_postgresql():
        backend.ahead(lock_statement(), repository_id)


def lock_statement() -> str:
    """What lock_repository() says, with the repository's id. PostgreSQL's; SQLite has one writer."""
    return "SELECT 1 FROM repository WHERE id = %s" + backend.lock("KEY SHARE", "repository")


def show_repository(held: HeldRepository, now: datetime, origin: Origin) -> None:
    """The first manifest comes: from here people see the repository. Nothing when they do already.

    Lock: repository (NO KEY UPDATE), right after hold_repository's: of two first pushes one waits with nothing in hand.
    """
    if held.has_appeared:
        return
    if Repository.objects.filter(id=held.id, appeared_at=None).update(appeared_at=now):
        publish_about(held.id, held, "repository.created", now, origin)


def end_unseen(project_id: int) -> None:
    """In the transaction that deletes a project: repositories that never had a manifest end with it, and the leases of
    what was uploaded to them. Lock: repository (UPDATE): a first push in flight ends before, and is seen by the next
    statement."""
    unseen = Repository.objects.filter(project_id=project_id, deleted_at=None, appeared_at=None)
    if backend.locked(unseen.order_by("id").values_list("id"), "UPDATE"):
        now = timezone.now()
        take_away()
        unseen.update(deleted_at=now, purge_after=now)


def publish_about(
    repository_id: int, held: HeldRepository, topic: str, now: datetime, origin: Origin, **payload: Any
) -> None:
    """Record an event of a repository the caller holds. It names all that a reader of the log wants to know, because the
    repository may be gone when it is read."""
    publish(
        topic, now, repository=repository_id, project=held.project_id, name=held.full_name,
        by=origin.name, address=origin.address, **payload,
    )  # fmt: skip


def delete_repository(repository_id: int, origin: Origin = HAVEN) -> None:
    """Into the trash with everything in it, by one row: a push in flight lands before the delete and shares its fate.

    Restorable for restore_window. Raises RepositoryUnknown, TagImmutable when a tag in it is.
    Lock: repository (UPDATE): pushes end first, so no immutable tag appears between look and delete.
    """
    now = timezone.now()

    def work() -> None:
        live = Repository.objects.filter(id=repository_id, deleted_at=None)
        if not backend.locked(live.values_list("id"), "UPDATE"):
            raise RepositoryUnknown
        held = _name_of(repository_id)
        before_delete(held, Tag.objects.filter(repository_id=repository_id).values_list("name", flat=True))
        take_away()
        live.update(deleted_at=now, purge_after=now + restore_window(), deleted_by=origin.name)
        publish_about(repository_id, held, "repository.deleted", now, origin)

    run_write(work)


def restore_repository(repository_id: int, origin: Origin = HAVEN, *, name: str | None = None) -> None:
    """Out of the trash, with everything that was in it. Locks: repository (NO KEY UPDATE), then its open uploads if renamed.

    name: below its project, to give it another one.
    Raises RepositoryUnknown once its purge may have begun, Conflict when a live repository has the name by now.
    """
    now = timezone.now()

    def work() -> None:
        trashed = Repository.objects.filter(id=repository_id, purge_after__gt=now).filter(
            purge_after__gt=F("deleted_at")
        )
        renamed = {} if name is None else {"name": name, "full_name": _full_name(repository_id, name)}
        if not trashed.update(deleted_at=None, purge_after=None, **renamed):
            raise RepositoryUnknown
        if renamed:  # addresses of uploads that were begun under the old name end
            Upload.objects.filter(repository_id=repository_id, state=Upload.OPEN).update(version=F("version") + 1)
        publish_about(repository_id, _name_of(repository_id), "repository.restored", now, origin)

    try:
        run_write(work)
    except IntegrityError:  # the one constraint that this can break is the name's
        raise Conflict("a repository of that name exists: give another name") from None


def _full_name(repository_id: int, name: str) -> str:
    project = Repository.objects.filter(id=repository_id).values_list("project__name", flat=True).first()
    return f"{project}/{name}"


def _name_of(repository_id: int) -> HeldRepository:
    """Of a row that the caller's own update holds."""
    return _held(*Repository.objects.values_list(*_HELD).get(id=repository_id))


def _held(row_id: int, project_id: int, name: str, full_name: str, appeared_at: object) -> HeldRepository:
    return HeldRepository(row_id, project_id, name, full_name, has_appeared=appeared_at is not None)


def describe_repository(repository_id: int, description: str, origin: Origin = HAVEN) -> None:
    """Set what people say of it. Raises RepositoryUnknown. Lock: repository (NO KEY UPDATE)."""
    now = timezone.now()

    def work() -> None:
        if not Repository.objects.filter(id=repository_id, deleted_at=None).update(description=description):
            raise RepositoryUnknown
        publish_about(repository_id, _name_of(repository_id), "repository.described", now, origin)

    run_write(work)
