"""Who deletes and wants back: out of the trash, under the same name or another one, and tags that go back in time."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.siege.clients import KEEP, Client, Keeper, Lost, Siege
from tests.support.client import expect
from tests.support.oci import Manifest, image, random_layer

IMMUTABLE = 10  # tags at most that are restored as immutable ones: those can't be deleted again


class Restorer:
    """Restores what it deleted itself, while it may. Nothing and nobody removes a restored tag but its owner."""

    def __init__(self, siege: Siege) -> None:
        self.siege, self.client, self.keeper = siege, Client(siege, 2000), Keeper(siege, 2001)
        self.number = 0

    def step(self) -> None:
        if len(self.client.ledger) >= KEEP:
            self.client.delete_one()
        random = self.client.random
        repository = f"{random.choice(self.siege.projects)}/app{random.randrange(3)}"
        wishes = [self.roll_back]
        if self.siege.restorable:
            wishes += [self.restore, self.name_is_taken, self.onto_immutable]
        random.choice(wishes)(repository)
        for (where, tag), manifest in list(self.client.ledger.items()):
            self.client.pull(where, tag, manifest)
        if self.keeper.client.ledger:
            self.keeper.try_to_change()

    def restore(self, repository: str) -> None:
        """No rule of retention keeps back-*, so it goes at any time, before its owner's delete too. Restored it stays."""
        tag, began = self._tag("back"), time.monotonic()
        mine = self._pushed(repository, tag)
        self.client.delete(repository, mine.digest)
        if self._restored(repository, "artifact", mine, began) is not None:
            self.client.ledger[repository, tag] = mine
            self.siege.count("restored")

    def name_is_taken(self, repository: str) -> None:
        """What was deleted comes back while its tag means something else."""
        tag, began = self._tag("keep"), time.monotonic()
        old = self._pushed(repository, tag)
        self.client.delete(repository, old.digest)
        new = self._pushed(repository, tag)
        taken = self.client.random.choice(("refuse", "keep", "overwrite"))
        status = self._restored(repository, "artifact", old, began, taken=taken)
        if status not in (None, 409 if taken == "refuse" else 200):
            raise Lost(f"{repository}:{tag} is taken, restored with taken={taken}: {status}")
        self.client.ledger[repository, tag] = old if taken == "overwrite" and status else new
        self.siege.count(f"name_taken_{taken}")

    def onto_immutable(self, repository: str) -> None:
        """A tag that was deleted alone is restored under a name that a rule makes immutable: a free one, then a taken one."""
        fixed = self.keeper.client.ledger
        if len(fixed) < IMMUTABLE:
            name, began = self._tag("fix"), time.monotonic()
            mine = self._untagged(repository)
            if self._restored(repository, "tag", mine, began, name=name) is not None:
                fixed[repository, name] = mine
                self.siege.count("restored_immutable")
        else:
            (repository, name), began = self.client.random.choice(list(fixed)), time.monotonic()
            other = self._untagged(repository)
            status = self._restored(repository, "tag", other, began, name=name, taken="overwrite")
            if status not in (None, 412):
                raise Lost(f"immutable {repository}:{name} was overwritten by a restore: {status}")
            self.keeper.client.pull(repository, name, fixed[repository, name])
            self.siege.count("immutable_refused")

    def roll_back(self, repository: str) -> None:
        """A tag that was moved goes back, out of the trash if need be; it can't when what it meant is purged already."""
        tag, began = self._tag("keep"), time.monotonic()
        old, new = self._pushed(repository, tag), self._pushed(repository, tag)
        project, _, name = repository.partition("/")
        path = f"/projects/{project}/repositories/{name}/tags/{tag}/rollback"
        answer = expect(self.siege.api("POST", path, json={"digest": old.digest}), 200, 404)
        is_gone = answer.status_code == 404
        if is_gone and time.monotonic() - began < self.siege.restorable:
            raise Lost(f"{repository}:{tag} can't go back: {answer.text[:300]}")
        self.client.ledger[repository, tag] = new if is_gone else old
        self.siege.count("rolled_back_too_late" if is_gone else "rolled_back")

    def _tag(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}-{self.client.name}-{self.number}"

    def _pushed(self, repository: str, tag: str) -> Manifest:
        mine = image([self.client.shared_layer(), random_layer(4000)], command=[tag, str(self.client.random.random())])
        self.client.send(repository, mine, tag)
        return mine

    def _untagged(self, repository: str) -> Manifest:
        """An image whose only tag was deleted alone."""
        tag = self._tag("keep")
        mine = self._pushed(repository, tag)
        project, _, name = repository.partition("/")
        path = f"/projects/{project}/repositories/{name}/artifacts/{mine.digest}/tags/{tag}"
        expect(self.siege.api("DELETE", path), 200, 404)  # 404: the first attempt did it, its answer was lost
        return mine

    def _restored(self, repository: str, item: str, mine: Manifest, began: float, **body: Any) -> int | None:
        """The answer's status: 200, 409 or 412; None when it was too late. Lost when it is not to be had in time: it was
        there when it was pushed, at `began` at the earliest, so its window can't have ended before `began` + that."""
        project, _, name = repository.partition("/")
        path, attempts = f"/projects/{project}/trash", 0
        seen = {"item": item, "repository": name, "page_size": "100"}
        listed = expect(self.siege.api("GET", path, params=seen), 200).json()
        ids = [each["id"] for each in listed if each["digest"] == mine.digest]

        def attempt() -> requests.Response:
            nonlocal attempts
            attempts += 1
            return self.siege.stack.api("POST", f"{path}/{item}/{ids[0]}/restore", json=body)

        if ids:
            answer = expect(self.siege.patiently(attempt), 200, 404, 409, 412)
            if answer.status_code != 404:
                return answer.status_code
        if time.monotonic() - began >= self.siege.restorable:
            self.siege.count("restored_too_late")
            return None
        if attempts > 1:  # an attempt whose answer was lost did it; the pull that follows tells
            return 200
        raise Lost(
            f"{item} {repository}@{mine.digest} can't be restored, {time.monotonic() - began:.1f} s after its push"
        )
