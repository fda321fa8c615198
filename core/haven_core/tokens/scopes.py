"""Scopes of the token protocol (distribution: docs/spec/auth/scope). Pure; never raises: what can't be read is none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from haven_core.domain.roles import in_order

MAX_SCOPES = 64  # of one request; each costs a lookup and room in a header

_TYPE = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?")  # a resource class, as in repository(plugin), says nothing
_ACTION = re.compile(r"[a-z]+|\*")


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions on one resource, asked for or granted."""

    type: str
    name: str
    actions: frozenset[str]

    def ordered_actions(self) -> list[str]:
        """pull, push, delete, then any other: clients compare actions as text, so their order never changes."""
        known = in_order(self.actions)
        return known + sorted(self.actions.difference(known))

    def __str__(self) -> str:
        return f"{self.type}:{self.name}:{','.join(self.ordered_actions())}"


def parse_scopes(values: Iterable[str]) -> list[Scope]:
    """The scopes in repeated parameters, each of which may hold several separated by blanks.

    Split at the first and the last ':', since a name may hold one. Actions are a set; scopes of one resource are
    merged; the order of first mention stays.
    """
    merged: dict[tuple[str, str], frozenset[str]] = {}
    for text in " ".join(values).split():
        scope = _parse(text)
        if scope is None:
            continue
        key = (scope.type, scope.name)
        if key in merged or len(merged) < MAX_SCOPES:
            merged[key] = merged.get(key, frozenset()) | scope.actions
    return [Scope(kind, name, actions) for (kind, name), actions in merged.items()]


def _parse(text: str) -> Scope | None:
    kind, first, rest = text.partition(":")
    name, last, actions = rest.rpartition(":")
    matched = _TYPE.fullmatch(kind)
    if not (first and last and name and matched):
        return None
    return Scope(matched[1], name, frozenset(action for action in actions.split(",") if _ACTION.fullmatch(action)))
