"""Explaining artifacts after their push, and to readers who come before that. No push waits for this or fails by it."""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from django.db.models import Q

from haven_core.db import backend
from haven_core.db.transactions import run_write
from haven_core.events import delivery
from haven_core.events.delivery import Event
from haven_registry.artifacts import kinds
from haven_registry.artifacts.details import MAX_CONFIG_BYTES, Details
from haven_registry.artifacts.extract import extract, wanted_blob
from haven_registry.models import ArtifactDetail, Manifest, ManifestBlob, ManifestChild
from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.manifest import parse_manifest
from haven_registry.oci.media_types import INDEX_TYPES
from haven_registry.services.delete import descendants
from haven_registry.storage.driver import StorageDriver
from haven_registry.storage.errors import StorageError

CONSUMER = "artifacts"
BATCHES_PER_RUN = 200
_EVENTS_PER_BATCH = 50  # a manifest and a config of each are in memory at once

_log = logging.getLogger("haven.artifacts")
_FIELDS = ("platform", "created", "author", "extra", "annotations", "children", "history", "error")
_KEPT = (("platform", 255), ("created", 64))  # characters of their columns


class _Manifest(NamedTuple):
    id: int
    media_type: str
    payload: bytes


class _Blob(NamedTuple):
    storage_key: str
    size: int


def load_details(manifest_ids: Collection[int], driver: StorageDriver) -> dict[int, Details]:
    """What is known of the manifests, by id; those nobody has looked at yet are explained now.

    A constant number of statements. A config that can't be read just now leaves its reason, and is tried again by the
    next reader. Manifests that are purged meanwhile are missing.
    """
    known = _known(manifest_ids)
    if missing := set(manifest_ids) - known.keys():
        known |= explain(missing, driver)
    return known


def _known(manifest_ids: Collection[int]) -> dict[int, Details]:
    """SQL text, as every list of artifacts asks this."""
    if not manifest_ids:
        return {}
    rows = backend.sql(
        f"SELECT manifest_id, {', '.join(_FIELDS)} FROM artifact_detail "
        f"WHERE manifest_id IN ({backend.placeholders(manifest_ids)})",
        *manifest_ids,
    )
    return {manifest_id: Details(*texts[:3], *map(json.loads, texts[3:7]), *texts[7:]) for manifest_id, *texts in rows}


def explain(manifest_ids: Collection[int], driver: StorageDriver) -> dict[int, Details]:
    """Read manifests and configs, and keep what they say. Locks: manifest (KEY SHARE, by id), artifact_detail."""
    columns = ("id", "kind", "media_type", "payload")
    rows = list(Manifest.objects.filter(id__in=manifest_ids).order_by("id").values_list(*columns))
    bundles = _bundles(rows)
    blobs = _blobs({*manifest_ids, *(bundle.id for bundle in bundles.values())})
    found: dict[int, Details] = {}
    lasting: dict[int, Details] = {}
    for manifest_id, kind, media_type, payload in rows:
        try:
            told_by = bundles.get(manifest_id, _Manifest(manifest_id, media_type, bytes(payload)))
            found[manifest_id] = _explain(kind, media_type, bytes(payload), told_by, blobs.get(told_by.id, {}), driver)
        except StorageError as error:
            _log.warning("config of manifest %d not read: %s", manifest_id, error)
            found[manifest_id] = Details(error="the config can't be read now")
        else:
            lasting[manifest_id] = found[manifest_id]
    if lasting:
        run_write(lambda: _keep(lasting))
    return found


def consume(driver: StorageDriver) -> int:
    """Explain what was pushed or copied since the last time; returns the number of events looked at. Any number of
    processes may run this: what is done twice is kept once."""
    seen = 0
    for _ in range(BATCHES_PER_RUN):
        batch = delivery.waiting(CONSUMER, _EVENTS_PER_BATCH)
        if not batch.events:
            break
        wanted = _pushed(batch.events)
        done = set(ArtifactDetail.objects.filter(manifest_id__in=wanted).values_list("manifest_id", flat=True))
        if missing := wanted - done:
            explain(missing, driver)
        if not run_write(partial(delivery.take, batch)):
            break
        seen += len(batch.events)
    return seen


def _pushed(events: Iterable[Event]) -> set[int]:
    """Ids of what the events are about. One statement, and those of descendants() for each copy."""
    topics = {
        (event.payload["repository"], event.payload["digest"]): event.topic
        for event in events
        if event.topic in ("manifest.pushed", "manifest.copied")
    }
    live = Manifest.objects.filter(
        repository_id__in={repository for repository, _ in topics}, digest__in={digest for _, digest in topics},
        deleted_at=None,
    )  # fmt: skip
    found: set[int] = set()
    for manifest_id, *place in live.values_list("id", "repository_id", "digest"):
        topic = topics.get((place[0], place[1]))
        if topic is not None:
            found.update(descendants(manifest_id) if topic == "manifest.copied" else [manifest_id])
    return found


def _explain(
    kind: str, media_type: str, payload: bytes, told_by: _Manifest, blobs: Mapping[str, _Blob], driver: StorageDriver
) -> Details:
    """told_by: the manifest whose config describes the artifact, mostly its own; `blobs` are those of that one."""
    try:
        parsed = parse_manifest(payload, media_type)
        wanted = wanted_blob(kind, parse_manifest(told_by.payload, told_by.media_type))
    except ManifestInvalid as error:  # stored by rules that were less strict
        return Details(error=str(error)[:1000])
    blob = None if wanted is None else blobs.get(str(wanted.digest))
    if blob is None:
        return extract(kind, parsed, None)
    if blob.size > MAX_CONFIG_BYTES:
        what = "SBOM" if kind == kinds.SBOM else "config"
        return extract(kind, parsed, None, f"the {what} is larger than {MAX_CONFIG_BYTES // 1024**2} MiB")
    return extract(kind, parsed, b"".join(driver.read(blob.storage_key)))


def _bundles(rows: Iterable[tuple[int, str, str, bytes]]) -> dict[int, _Manifest]:
    """Of those that are indexes of CNABs: the child whose config describes the bundle. One statement, or none."""
    wanted: dict[int, str] = {}
    name, value = kinds.CNAB_PART
    for row_id, kind, media_type, payload in rows:
        if kind == kinds.CNAB and media_type in INDEX_TYPES:
            with suppress(ManifestInvalid):  # _explain tells of it
                children = parse_manifest(bytes(payload), media_type).child_manifests
                described = next((child for child in children if child.annotations.get(name) == value), None)
                if described is not None:
                    wanted[row_id] = str(described.digest)
    if not wanted:
        return {}
    links = ManifestChild.objects.filter(parent_id__in=wanted, child__digest__in=set(wanted.values()))
    columns = ("parent_id", "child__digest", "child_id", "child__media_type", "child__payload")
    return {
        parent: _Manifest(child_id, media_type, bytes(payload))
        for parent, digest, child_id, media_type, payload in links.values_list(*columns)
        if wanted[parent] == digest
    }


def _blobs(manifest_ids: Collection[int]) -> dict[int, dict[str, _Blob]]:
    """By manifest and digest: configs, and the first layers of SBOMs, which are all that is read of any."""
    first = Q(role=ManifestBlob.LAYER, position__lte=1, manifest__kind=kinds.SBOM)
    named = ManifestBlob.objects.filter(Q(role=ManifestBlob.CONFIG) | first, manifest_id__in=manifest_ids)
    blob = "repository_blob__project_blob__blob__"
    rows = named.values_list("manifest_id", f"{blob}digest", f"{blob}object__storage_key", f"{blob}size")
    found: dict[int, dict[str, _Blob]] = {}
    for manifest_id, digest, key, size in rows:
        found.setdefault(manifest_id, {})[digest] = _Blob(key, size)
    return found


def _keep(details: Mapping[int, Details]) -> None:
    # held first, so that a purge in between is no failed foreign key
    manifests = Manifest.objects.filter(id__in=details).order_by("id")
    held = [row[0] for row in backend.locked(manifests.values_list("id"), "KEY SHARE")]
    backend.insert(
        ArtifactDetail, ["manifest", *_FIELDS], [(row_id, *_values(details[row_id])) for row_id in held],
        on_conflict="(manifest_id) DO NOTHING",
    )  # fmt: skip


def _values(details: Details) -> list[object]:
    longest = dict(_KEPT)
    return [
        value[: longest[name]] if name in longest else value
        for name, value in ((name, getattr(details, name)) for name in _FIELDS)
    ]
