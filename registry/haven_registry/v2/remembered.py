"""What this process found a moment ago, so that a tag that many pull at once is not asked for each time.

A look-up costs a request more than everything else, most of all with PostgreSQL: here it is made once in MEMORY_SECONDS for
each manifest and blob that is in demand, and with PostgreSQL for up to MAX_TOGETHER of them in one statement. Only what was
found is remembered, never that something is missing. How a delete is seen at once all the same: haven_core.visibility.

A pull asks for a tag, then for the digest it was told, then for the payload: one look-up answers all three. Then it asks for
the blobs: the first of them takes the others along.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from haven_core.db.backend import is_postgresql
from haven_core.visibility import MEMORY_SECONDS, mark, now
from haven_registry import selectors
from haven_registry.oci.media_types import IMAGE_TYPES
from haven_registry.selectors import FoundBlob, FoundManifest
from haven_registry.v2.payloads import keep

MAX_TOGETHER = 64
_LIMIT = 10_000
_BLOB = re.compile(rb'"digest"\s*:\s*"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"')

_T = TypeVar("_T")
Name = tuple[str, str, str]  # project, repository, tag or digest
FindMany = Callable[[Sequence[Name]], Sequence[_T | None]]


class Memory(Generic[_T]):
    """Answers to names, each for MEMORY_SECONDS from the moment its question was sent. For any number of threads: two of
    them may ask the same."""

    def __init__(self, find: Callable[[Name], _T | None], find_many: FindMany[_T]) -> None:
        self._find, self._find_many = find, find_many
        self._found: dict[Name, tuple[float, bytes, _T]] = {}  # until when, under which mark, what
        self._wanted: dict[Name, None] = {}  # asked for in the second half of that time: they are looked up together

    def find(self, name: Name) -> _T | None:
        """What the name stands for."""
        asked, under = now(), mark()
        if under is None:
            return self._find(name)
        entry = self._found.get(name)
        if entry is not None and entry[0] > asked and entry[1] == under:
            if entry[0] - asked < MEMORY_SECONDS / 2:
                self._wanted[name] = None
            return entry[2]
        self._wanted.pop(name, None)
        together = list(self._wanted)[:MAX_TOGETHER] if is_postgresql() else []
        if not together:
            return self.remember(asked, under, name, self._find(name))
        for other in together:
            self._wanted.pop(other, None)
        found, *others = self._find_many([name, *together])
        for other, value in zip(together, others, strict=True):
            self.remember(asked, under, other, value)
        return self.remember(asked, under, name, found)

    def expect(self, names: Iterable[Name]) -> None:
        """Somebody is about to ask for these."""
        room = MAX_TOGETHER - len(self._wanted)
        for name in islice(names, max(room, 0)):
            entry = self._found.get(name)
            if entry is None or entry[0] <= now():
                self._wanted[name] = None

    def remember(self, asked: float, under: bytes, name: Name, value: _T | None) -> _T | None:
        """Take what was found, and give it back. asked, under: now() and mark(), read before the question was sent."""
        if value is None:
            self._found.pop(name, None)
            return None
        if len(self._found) >= _LIMIT:
            self.forget()
        self._found[name] = (asked + MEMORY_SECONDS, under, value)
        return value

    def forget(self) -> None:
        """Drop everything."""
        self._found.clear()
        self._wanted.clear()


def _find_tagged(name: Name) -> FoundManifest | None:
    asked, under = now(), mark()
    found = _with_payload_kept(name, selectors.find_manifest(*name[:2], tag=name[2]))
    if found is not None and under is not None:
        _by_digest.remember(asked, under, (*name[:2], found.digest), found)
    return found


def _find_manifest(name: Name) -> FoundManifest | None:
    return _with_payload_kept(name, selectors.find_manifest(*name[:2], digest=name[2]))


def _with_payload_kept(name: Name, found: FoundManifest | None) -> FoundManifest | None:
    """Payloads have a memory of their own, which is bounded by bytes. What an image consists of is asked for next."""
    if found is None or found.payload is None:
        return found
    keep(found.id, found.payload)
    if is_postgresql() and found.media_type in IMAGE_TYPES:
        _blobs.expect((*name[:2], match.decode()) for match in _BLOB.findall(found.payload))
    return found._replace(payload=None)


_by_tag: Memory[FoundManifest] = Memory(_find_tagged, selectors.find_tagged_manifests)
_by_digest: Memory[FoundManifest] = Memory(_find_manifest, selectors.find_manifests)
_blobs: Memory[FoundBlob] = Memory(lambda name: selectors.find_blob(*name), selectors.find_blobs)


def find_tagged(project: str, repository: str, tag: str) -> FoundManifest | None:
    """The manifest that a tag names."""
    return _by_tag.find((project, repository, tag))


def find_manifest(project: str, repository: str, digest: str) -> FoundManifest | None:
    """The manifest of a digest."""
    return _by_digest.find((project, repository, digest))


def find_blob(project: str, repository: str, digest: str) -> FoundBlob | None:
    """As selectors.find_blob."""
    return _blobs.find((project, repository, digest))


def forget() -> None:
    """Drop everything (tests)."""
    for memory in (_by_tag, _by_digest, _blobs):
        memory.forget()
