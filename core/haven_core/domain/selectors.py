"""Selectors of repositories and tags in the rules of policies (Harbor: src/lib/selector)."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from haven_core.domain.doublestar import PatternInvalid, compile_pattern

DOUBLESTAR = "doublestar"
MATCHES, EXCLUDES = "matches", "excludes"
REPOSITORY_MATCHES, REPOSITORY_EXCLUDES = "repoMatches", "repoExcludes"
TAG_DECORATIONS = (MATCHES, EXCLUDES)
REPOSITORY_DECORATIONS = (REPOSITORY_MATCHES, REPOSITORY_EXCLUDES)


class SelectorInvalid(ValueError):
    """The selector can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A condition on repositories (their name below the project) or on tags.

    extras: JSON text; only its boolean `untagged` means anything.
    """

    kind: str
    decoration: str
    pattern: str
    extras: str = ""

    def selects_repository(self, name: str) -> bool:
        """Whether the repository is meant."""
        return compile_pattern(self.pattern).matches(name) == (self.decoration == REPOSITORY_MATCHES)

    def selects_tags(self, tags: Collection[str]) -> bool:
        """Whether an artifact with these tags is meant: `matches` wants one that fits, `excludes` one that does not.

        Without tags: `matches` means it unless extras say otherwise, `excludes` means it unless extras say `untagged`.
        """
        if not tags:
            return self._untagged() == (self.decoration == MATCHES)
        pattern = compile_pattern(self.pattern)
        return any(pattern.matches(tag) == (self.decoration == MATCHES) for tag in tags)

    def _untagged(self) -> bool:
        default = self.decoration == MATCHES
        try:
            extras = json.loads(self.extras or "null")
        except (ValueError, RecursionError):
            return default  # Harbor, too
        if not isinstance(extras, dict):
            return default
        value = extras.get("untagged", False)
        return value if isinstance(value, bool) else default


def check_selector(selector: Selector, decorations: Collection[str]) -> None:
    """Raises SelectorInvalid for a kind, decoration or pattern that could never be used."""
    if selector.kind != DOUBLESTAR:
        raise SelectorInvalid(f'the kind of a selector is "{DOUBLESTAR}"')
    if selector.decoration not in decorations:
        raise SelectorInvalid(f"the decoration of the selector is one of {', '.join(decorations)}")
    if not selector.pattern:
        raise SelectorInvalid("a selector needs a pattern; ** means all")
    try:
        compile_pattern(selector.pattern)
    except PatternInvalid as error:
        raise SelectorInvalid(f"the pattern {selector.pattern[:100]!a} can't be used: {error}") from error
