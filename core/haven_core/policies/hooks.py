"""Hooks before a change in a repository, in the order they were registered. The data plane calls them inside the
transaction of the change, which the room that makes the rules can't see; a hook refuses by raising a HavenError."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class HeldRepository(NamedTuple):
    """A live repository that the caller's transaction holds. name: below its project; full_name: with it. has_appeared:
    whether a manifest came already, and people see it."""

    id: int
    project_id: int
    name: str
    full_name: str
    has_appeared: bool


class TagHook(Protocol):
    """Told which existing tags are about to change. They are locked, or nobody else can change them. Reading them may
    cost a query: a hook that has no rule for the project leaves them alone."""

    def __call__(self, repository: HeldRepository, tags: Iterable[str]) -> None:
        """Raise to refuse."""


class _Hooks:
    def __init__(self) -> None:
        self._hooks: dict[str, TagHook] = {}

    def register(self, name: str, hook: TagHook) -> None:
        """At start. The same name again replaces the hook."""
        self._hooks[name] = hook

    def __call__(self, repository: HeldRepository, tags: Iterable[str]) -> None:
        for hook in self._hooks.values():
            hook(repository, tags)


before_push = _Hooks()
"""Existing tags get a manifest, the same or another: a push, a move, a copy."""

before_delete = _Hooks()
"""Existing tags go: alone, with their manifest, or with the whole repository."""
