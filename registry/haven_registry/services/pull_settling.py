"""What was read, and what of it was a pull. Pure.

Clients pull in different ways. docker, containerd and oras HEAD the tag, then GET by digest; podman, skopeo and helm GET
the tag; all of them GET the manifest of their platform by digest after an index. Each is one pull, of the tag. The requests
of one pull may reach several processes, so what belongs together is found afterwards, over the batches of all of them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

FLUSH_SECONDS = 3.0
"""How often a process of the registry sends what it has seen; a killed one loses as much."""
SETTLE_SECONDS = FLUSH_SECONDS + 1
"""The age from which a batch is settled: whatever came before one of its reads has then been sent, by any process."""
WINDOW_SECONDS = 300
"""How long a reader's HEAD of a tag, or GET of an index, explains its GETs by digest."""
_SKEW_SECONDS = 0.5  # by which the clocks of two hosts may differ

Key = tuple[int, str, str]
"""Repository id, digest, and who: the name, or the address of somebody without one."""


class Read(NamedTuple):
    """A GET of a manifest, `at` seconds since the epoch, by a tag or ''. name, address: whose. is_scanner: of a robot
    that scans. times: how many equal reads this one stands for."""

    at: float
    repository_id: int
    digest: str
    tag: str
    name: str
    address: str
    is_index: bool
    is_scanner: bool = False
    times: int = 1

    @property
    def key(self) -> Key:
        """What it is remembered by."""
        return (self.repository_id, self.digest, self.name or self.address)


class Head(NamedTuple):
    """A HEAD of a manifest by a tag, at seconds since the epoch. who: as in a Key."""

    at: float
    repository_id: int
    digest: str
    tag: str
    who: str

    @property
    def key(self) -> Key:
        """What it is remembered by."""
        return (self.repository_id, self.digest, self.who)


class Settled(NamedTuple):
    """A read, under the tag that it was about or ''. is_pull: not when it only followed its index, and no scanner's."""

    read: Read
    tag: str
    is_pull: bool


class Lately:
    """What readers did in the last WINDOW_SECONDS: HEADs by tag, and GETs of indexes."""

    def __init__(self, heads: Iterable[Head], indexes: Iterable[tuple[Key, float]]) -> None:
        self._tags: dict[Key, list[tuple[float, str]]] = defaultdict(list)
        self._indexes: dict[Key, list[float]] = defaultdict(list)
        for head in heads:
            self._tags[head.key].append((head.at, head.tag))
        for key, at in indexes:
            self._indexes[key].append(at)
        for asked in self._tags.values():
            asked.sort()
        for had in self._indexes.values():
            had.sort()

    def settle(self, read: Read, parents: Collection[str]) -> Settled:
        """What a read was. parents: digests of the indexes in its repository that name it."""
        tag = read.tag or self._tag_of(read)
        is_first = bool(tag) or not any(self._had(read, parent) for parent in parents)
        return Settled(read, tag, is_pull=is_first and not read.is_scanner)

    def _tag_of(self, read: Read) -> str:
        """The tag that its reader asked for last and that was this digest."""
        asked = self._tags.get(read.key, [])
        before = bisect_right(asked, read.at + _SKEW_SECONDS, key=lambda head: head[0])
        if before and asked[before - 1][0] >= read.at - WINDOW_SECONDS:
            return asked[before - 1][1]
        return ""

    def _had(self, read: Read, parent: str) -> bool:
        had = self._indexes.get((read.repository_id, parent, read.key[2]), [])
        before = bisect_right(had, read.at + _SKEW_SECONDS)
        return before > 0 and had[before - 1] >= read.at - WINDOW_SECONDS
