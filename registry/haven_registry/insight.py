"""What takes room and who shares it; who uses a blob. Reads only."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from haven_core.db import backend
from haven_core.domain.actor import Actor
from haven_core.errors import NotFound
from haven_core.projects.models import Project
from haven_core.rbac.access import standings, visible_projects
from haven_core.rbac.permissions import Action, Permission, Resource
from haven_registry.artifact_parts import newest_tags
from haven_registry.models import Blob, Manifest, ManifestBlob, ProjectBlob
from haven_registry.services.delete import descendants

_USED_BY = (
    "EXISTS (SELECT 1 FROM repository_blob rb JOIN manifest_blob mb ON mb.repository_blob_id = rb.id "
    "JOIN manifest m ON m.id = mb.manifest_id JOIN repository r ON r.id = m.repository_id "
    "WHERE rb.project_blob_id = pb.id AND m.deleted_at IS NULL AND r.deleted_at IS NULL AND {})"
)


@dataclass(frozen=True, slots=True)
class Usage:
    """blobs: how many different ones live manifests name. size: their bytes, each counted once. unique: bytes that would
    not be needed without this; shared: the rest. Manifests themselves are not counted."""

    blobs: int
    size: int
    unique: int

    @property
    def shared(self) -> int:
        """Bytes that others need too."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True)
class BlobUse:
    """A live artifact that names the blob. tags: the newest, at most 100."""

    repository: str
    manifest_id: int
    digest: str
    type: str
    tags: tuple[str, ...]


def artifact_usage(project_id: int, manifest_id: int) -> Usage:
    """Of an artifact and all below it, among the project's. A statement, and one for each level of indexes."""
    family = descendants(manifest_id)
    marks = backend.placeholders(family)
    return _usage(project_id, f"m.id IN ({marks})", f"m.id NOT IN ({marks})", family)


def repository_usage(project_id: int, repository_id: int) -> Usage:
    """Of a repository, among the project's. One statement."""
    return _usage(project_id, "m.repository_id = %s", "m.repository_id <> %s", [repository_id])


def project_usage(actor: Actor, project_id: int) -> Usage:
    """Of a project; shared is what other projects, whose artifacts the actor may see, are charged for too: of others
    nobody learns whether they have a blob. Four statements."""
    mine = ProjectBlob.objects.filter(project_id=project_id).values("blob_id")
    others = Project.objects.filter(
        id__in=ProjectBlob.objects.filter(blob_id__in=mine).exclude(project_id=project_id).values("project_id")
    )
    readable = _readable(actor, others)
    used = _USED_BY.format("TRUE")
    shared = "EXISTS (SELECT 1 FROM project_blob o WHERE o.blob_id = pb.blob_id AND o.project_id IN ({}))"
    is_shared = shared.format(backend.placeholders(readable)) if readable else "(1 = 0)"
    return _sum(f"NOT {is_shared}", list(readable), f"pb.project_id = %s AND {used}", [project_id])


def list_blob_uses(actor: Actor, digest: str, *, offset: int, limit: int) -> tuple[int, list[BlobUse], int]:
    """The blob's size in bytes, a page of the live artifacts that name it and that the actor may see, by repository, and
    the number of all. Six statements. Raises NotFound for a blob of which the actor sees no artifact, there or not."""
    charged = ProjectBlob.objects.filter(blob__digest=digest).values("project_id")
    places = _places(digest, _readable(actor, Project.objects.filter(id__in=charged)))
    if not places:
        raise NotFound(f"no artifact that you may see has blob {digest}")
    shown, skipped = _window(places, offset, limit)
    named = ManifestBlob.objects.filter(repository_blob_id__in=shown).values("manifest_id")
    columns = ("repository__full_name", "id", "digest", "kind")
    found = Manifest.objects.filter(id__in=named, deleted_at=None).order_by("repository__full_name", "id")
    rows = list(found.values_list(*columns)[skipped : skipped + limit])
    tags = newest_tags([row[1] for row in rows], {})
    uses = [
        BlobUse(name, row_id, each, kind, tuple(tag.name for tag in tags.get(row_id, ())))
        for name, row_id, each, kind in rows
    ]
    return Blob.objects.filter(digest=digest).values_list("size", flat=True)[0], uses, sum(places.values())


def live_uses() -> "QuerySet[ManifestBlob, ManifestBlob]":
    """What live manifests of live repositories name. Those in the trash are few, and known by an index: asking the row of
    each manifest takes three times as long where tens of thousands have a blob."""
    trashed = Manifest.objects.filter(purge_after__isnull=False).values("id")
    return ManifestBlob.objects.filter(repository_blob__repository__deleted_at=None).exclude(manifest_id__in=trashed)


def _places(digest: str, project_ids: Collection[int]) -> dict[int, int]:
    """Ids of the blob in each repository of these projects, by the repository's name, and how many live artifacts there
    name it. One statement, or none."""
    if not project_ids:
        return {}
    path = "repository_blob__project_blob"
    found = live_uses().filter(**{f"{path}__blob__digest": digest, f"{path}__project_id__in": project_ids})
    grouped = found.values_list("repository_blob_id").annotate(number=Count("manifest_id", distinct=True))
    return dict(grouped.order_by("repository_blob__repository__full_name"))


def _window(places: dict[int, int], offset: int, limit: int) -> tuple[list[int], int]:
    """The places that a page of artifacts lies in, and how many of the first one's come before it."""
    shown: list[int] = []
    skipped = passed = 0
    for place, number in places.items():
        if passed + number > offset and passed < offset + limit:
            if not shown:
                skipped = offset - passed
            shown.append(place)
        passed += number
    return shown, skipped


def _readable(actor: Actor, projects: "QuerySet[Project]") -> Collection[int]:
    """Those of live projects where the actor may read artifacts."""
    visible = dict(projects.filter(id__in=visible_projects(actor).values("id")).values_list("id", "is_public"))
    wanted = Permission(Resource.ARTIFACT, Action.READ)
    return [row_id for row_id, held in standings(actor, visible).items() if wanted in held.permissions]


def _usage(project_id: int, mine: str, others: str, parameters: list[int]) -> Usage:
    is_unique = f"NOT {_USED_BY.format(others)}"
    return _sum(is_unique, parameters, f"pb.project_id = %s AND {_USED_BY.format(mine)}", [project_id, *parameters])


def _sum(is_unique: str, of_unique: list[int], where: str, of_where: list[Any]) -> Usage:
    [(blobs, size, unique)] = backend.sql(
        f"SELECT count(*), coalesce(sum(pb.size), 0), coalesce(sum(CASE WHEN {is_unique} THEN pb.size ELSE 0 END), 0) "
        f"FROM project_blob pb WHERE {where}",
        *of_unique, *of_where,
    )  # fmt: skip
    return Usage(int(blobs), int(size), int(unique))
