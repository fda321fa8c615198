"""Grammar of names. Length first, then `fullmatch`: `$` would let a trailing newline pass."""

import re

MAX_LENGTH = 255

_PROJECT = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
# Harbor refuses the first five; ':' would end the name in a Basic pair, and a backslash has no use in one.
_FORBIDDEN_IN_USERNAME = frozenset(',"~#%$:\\')


def is_project_name(text: str) -> bool:
    """Harbor's rule for projects: 1..255 of lower-case letters and digits, single `.`, `_` or `-` between them."""
    return 1 <= len(text) <= MAX_LENGTH and _PROJECT.fullmatch(text) is not None


def is_username(text: str) -> bool:
    """Harbor's rule for user names, and no control character, no outer blank, no ':'."""
    return (
        1 <= len(text) <= MAX_LENGTH
        and text == text.strip()
        and text.isprintable()
        and _FORBIDDEN_IN_USERNAME.isdisjoint(text)
    )


def split_repository(full_name: str) -> tuple[str, str] | None:
    """`project/a/b` to (`project`, `a/b`); None when the text is no repository name inside a project.

    The whole name follows the distribution-spec's grammar (lower case, no empty or dotted components, 255 at most).
    """
    if len(full_name) > MAX_LENGTH or not _REPOSITORY.fullmatch(full_name):
        return None
    project, slash, repository = full_name.partition("/")
    return (project, repository) if slash and is_project_name(project) else None
