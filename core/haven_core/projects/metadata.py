"""Changing what a project says of itself."""

from collections.abc import Callable, Mapping

from django.db import transaction
from django.utils import timezone

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.domain.project_metadata import KEYS, PUBLIC, RETENTION, checked
from haven_core.errors import BadRequest, Conflict, NotFound, ProjectUnknown
from haven_core.projects.models import Project
from haven_core.rbac.access import forget_access

Metadata = dict[str, str]


def update_metadata(*, project_id: int, changes: Mapping[str, str]) -> None:
    """Set the given keys and leave the others; unknown ones are ignored. Raises BadRequest, ProjectUnknown. Locks: the
    project row, so that of two changes of different keys both last."""
    known = checked(changes)
    _change(project_id, lambda metadata: _with(metadata, known))


def add_metadata(*, project_id: int, key: str, value: str) -> None:
    """Set a key that is not there. Raises BadRequest, Conflict, ProjectUnknown. Locks as update_metadata."""
    _require_known(key)
    known = checked({key: value})

    def add(metadata: Metadata) -> Metadata:
        if key in metadata:
            raise Conflict(f"metadata {key} already exists")
        return _with(metadata, known)

    _change(project_id, add)


def replace_metadata(*, project_id: int, key: str, value: str) -> None:
    """Set a key that is there. Raises BadRequest, NotFound, ProjectUnknown. Locks as update_metadata."""
    _require_known(key)
    known = checked({key: value})

    def replace(metadata: Metadata) -> Metadata:
        if key not in metadata:
            raise NotFound(f"metadata {key} not found")
        return _with(metadata, known)

    _change(project_id, replace)


def delete_metadata(*, project_id: int, key: str) -> None:
    """Remove a key; without `public` the project is private. Raises BadRequest, NotFound, ProjectUnknown. Locks as
    update_metadata."""
    _require_known(key)

    def remove(metadata: Metadata) -> Metadata:
        if key == RETENTION:
            raise BadRequest("the retention policy of a project is removed with DELETE /retentions")
        if key not in metadata:
            raise NotFound(f"metadata {key} not found")
        return {name: value for name, value in metadata.items() if name != key}

    _change(project_id, remove)


def shown(metadata: Mapping[str, str], *, is_public: bool) -> Metadata:
    """The map as Harbor shows it."""
    return {**metadata, PUBLIC: "true" if is_public else "false"}


def _require_known(key: str) -> None:
    if key not in KEYS:
        raise BadRequest(f"there is no project metadata {key[:64]!a}")


def _with(metadata: Metadata, known: Metadata) -> Metadata:
    """The reference to a retention policy is that policy's to set, and may only be repeated."""
    if known.get(RETENTION, metadata.get(RETENTION)) != metadata.get(RETENTION):
        raise BadRequest(f"no retention policy {known[RETENTION]} of this project")
    return {**metadata, **known}


def _change(project_id: int, change: Callable[[Metadata], Metadata]) -> None:
    def write() -> None:
        live = Project.objects.filter(id=project_id, deleted_at=None)
        if not backend.locked(live.values_list("id"), "NO KEY UPDATE"):
            raise ProjectUnknown
        stored, is_public = live.values_list("metadata", "is_public").get()  # as it is now that it is held
        metadata = change(shown(stored, is_public=is_public))
        live.update(is_public=metadata.pop(PUBLIC, "false") == "true", metadata=metadata, updated_at=timezone.now())
        transaction.on_commit(forget_access)

    run_write(write)
