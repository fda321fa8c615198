"""Repositories, and what lies in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from haven_core.db.bulk import load, next_ids
from haven_core.models import ProjectQuota
from haven_project.seeding import words
from haven_project.seeding.batch import TABLES as BATCH_TABLES
from haven_project.seeding.batch import Batch
from haven_project.seeding.images import Family, SeedBlob, encoded, families
from haven_project.seeding.people import Owned
from haven_project.seeding.progress import Progress
from haven_project.seeding.scale import Scale, shares
from haven_registry.models import Blob, Repository, RepositoryBlob, StorageObject
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.keys import new_key

TABLES = (*BATCH_TABLES, Blob, ProjectQuota, StorageObject)
FAMILIES_PER_PROJECT = 12
TAGS_IN_BIGGEST = 5
"""Of each artifact of the biggest repository."""

_ARTIFACTS_PER_LOAD = 10_000


class Plan(NamedTuple):
    """What a repository is to hold."""

    name: str
    family: Family
    artifacts: int
    tags_each: int


@dataclass(frozen=True, slots=True)
class Place:
    """A repository to be filled."""

    repository_id: int
    full_name: str
    owned: Owned
    family: Family
    artifacts: int
    tags_each: int


def seed_content(
    scale: Scale, rng: Random, end: datetime, projects: list[Owned], driver: StorageDriver, progress: Progress
) -> None:
    """Blobs (their bytes first), repositories, manifests with all that belongs to them, quotas, audit log."""
    made = families()
    blobs = seed_blobs([blob for family in made for blob in family.blobs], driver, end)
    batch = Batch()
    used: list[tuple[int, int]] = []
    for owned, plans in _plans(scale, rng, projects, made):
        chosen = {blob.digest: (blobs[blob.digest], blob) for plan in plans for blob in plan.family.blobs}
        charged = batch.charge(owned.project_id, chosen)
        size = sum(blob.size for _, blob in chosen.values())
        for plan in plans:
            place = _open(batch, owned, plan, rng, end)
            links = [
                batch.add(RepositoryBlob, place.repository_id, charged[blob.digest], end) for blob in plan.family.blobs
            ]
            size += _fill(batch, place, links, rng, end)
            if batch.manifests >= _ARTIFACTS_PER_LOAD:
                progress.add(batch.write())
        used.append((owned.project_id, size))
    progress.add(batch.write())
    load(ProjectQuota, ("project", "used_bytes"), used)


def seed_blobs(wanted: list[SeedBlob], driver: StorageDriver, now: datetime) -> dict[str, int]:
    """Ids of the blobs by digest; those that are not there yet are written to the storage, then to the database."""
    by_digest = {blob.digest: blob for blob in wanted}
    ids = dict(Blob.objects.filter(digest__in=list(by_digest)).values_list("digest", "id"))
    missing = [blob for digest, blob in by_digest.items() if digest not in ids]
    objects, rows = [], []
    for object_id, blob_id, blob in zip(next_ids(StorageObject), next_ids(Blob), missing, strict=False):
        key = new_key()
        driver.put(key, blob.data)
        objects.append((object_id, key, StorageObject.LIVE, now))
        rows.append((blob_id, encoded(blob), blob.size, object_id, now))
        ids[blob.digest] = blob_id
    load(StorageObject, ("id", "storage_key", "state", "created_at"), objects)
    load(Blob, ("id", "digest", "size", "object", "created_at"), rows)
    return ids


def _plans(scale: Scale, rng: Random, projects: list[Owned], made: list[Family]) -> Iterator[tuple[Owned, list[Plan]]]:
    """Each project with its repositories. The first repository is the biggest; the others' sizes follow a power law."""
    repositories = shares(scale.repositories, [(number + 5) ** -0.5 for number in range(scale.projects)])
    biggest, others = scale.biggest_repository, scale.repositories - 1
    sizes = [biggest if others else scale.artifacts]
    if others:
        sizes += shares(scale.artifacts - biggest, [min(rng.paretovariate(1.2), 300.0) for _ in range(others)])
    counts = iter(sizes)
    for number, (owned, wanted) in enumerate(zip(projects, repositories, strict=True)):
        liked = rng.sample(made, FAMILIES_PER_PROJECT)
        names = words.repository_names(wanted)
        plans = [
            Plan(name, rng.choice(liked), next(counts), 1 if number or place else TAGS_IN_BIGGEST)
            for place, name in enumerate(names)
        ]
        yield owned, plans


def _open(batch: Batch, owned: Owned, plan: Plan, rng: Random, end: datetime) -> Place:
    """The repository's row."""
    full_name = f"{owned.name}/{plan.name}"
    created = end - timedelta(seconds=rng.randint(360 * 86400, 365 * 86400))
    said = f"Looked after by {owned.owner}"
    repository_id = batch.add(Repository, owned.project_id, plan.name, full_name, said, created, created)
    return Place(repository_id, full_name, owned, plan.family, plan.artifacts, plan.tags_each)


def _fill(batch: Batch, place: Place, links: list[int], rng: Random, end: datetime) -> int:
    """The manifests of a repository, oldest first; returns the bytes of their payloads."""
    size = 0
    pushed = end - timedelta(days=rng.randint(30, 360))
    step = (end - pushed) / (place.artifacts + 1)
    for number in range(place.artifacts):
        pushed += step
        version = f"{number // 100 + 1}.{number // 10 % 10}.{number % 10}"
        manifest = place.family.manifest(version, f"{rng.getrandbits(160):040x}")
        is_newest = number == place.artifacts - 1
        tags = [] if number % 10 == 9 and not is_newest and place.tags_each == 1 else [f"v{version}"]
        tags += [f"v{version}-r{build}" for build in range(1, place.tags_each)]
        tags += ["latest"] if is_newest else []
        batch.add_manifest(place, manifest, links, tags, pushed)
        size += len(manifest.payload)
    return size
