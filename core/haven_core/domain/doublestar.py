"""Glob patterns of policies, as Harbor's users write them (github.com/bmatcuk/doublestar, version 1).

    *        any characters but '/'                 ?      one character but '/'
    **       alone between slashes: any number of components; at the end at least one. Elsewhere like *, also where a
             brace opens in its component: `a/**` in an alternative is one, `{**,b}/c` has none
    {a,b}    alternatives, which may nest and hold '/'
    [a-z]    a character of the class; [^a-z] one that is not
    \\x       x itself

No regular expression is ever made of a user's text. A pattern is bounded when it is compiled, and matching costs at
most (its expanded length) x (length of the name): the last star alone is ever tried again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TypeVar

MAX_PATTERN_LENGTH = 512
MAX_EXPANDED_LENGTH = 4096  # of all alternatives together

_OPEN, _CLOSE = "\0", "\1"  # stand in an expanded pattern where braces were: what meets there is no doublestar
_SEAMS = str.maketrans("", "", _OPEN + _CLOSE)

_P = TypeVar("_P")
_I = TypeVar("_I")


class PatternInvalid(ValueError):
    """The text is no pattern, or one that is too large; the message says what is wrong."""


class _Wild(Enum):
    ONE = "?"
    STAR = "*"


@dataclass(frozen=True, slots=True)
class _Class:
    ranges: tuple[tuple[str, str], ...]
    is_negated: bool

    def fits(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.is_negated


_Token = str | _Class | _Wild
_Component = tuple[_Token, ...] | _Wild  # _Wild.STAR: a doublestar


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: one sequence of components for each alternative."""

    alternatives: tuple[tuple[_Component, ...], ...]

    def matches(self, name: str) -> bool:
        """Whether the whole name fits."""
        components = name.split("/")
        return any(_match(alternative, components, _component_fits) for alternative in self.alternatives)


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """Parse a pattern. Raises PatternInvalid."""
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternInvalid(f"a pattern has {MAX_PATTERN_LENGTH} characters at most")
    if _OPEN in text or _CLOSE in text:
        raise PatternInvalid("a pattern holds no control characters")
    alternatives, length = [], 0
    for plain in _expand(text):
        length += len(plain.translate(_SEAMS)) + 1
        if length > MAX_EXPANDED_LENGTH:
            raise PatternInvalid("the pattern has too many alternatives")
        alternatives.append(_parse(plain))
    return Pattern(tuple(alternatives))


def _match(pattern: Sequence[_P], items: Sequence[_I], fits: Callable[[_P, _I], bool]) -> bool:
    """Greedy: when something doesn't fit, the last star takes one item more. Earlier stars need no second try, since
    the last one could take whatever they would."""
    at = taken = 0
    star, star_end = -1, 0
    while taken < len(items):
        if at < len(pattern) and pattern[at] is _Wild.STAR:
            star, star_end = at, taken
            at += 1
        elif at < len(pattern) and fits(pattern[at], items[taken]):
            at, taken = at + 1, taken + 1
        elif star >= 0:
            star_end += 1
            at, taken = star + 1, star_end
        else:
            return False
    return all(rest is _Wild.STAR for rest in pattern[at:])


def _component_fits(component: _Component, name: str) -> bool:
    return isinstance(component, tuple) and _match(component, name, _token_fits)


def _token_fits(token: _Token, character: str) -> bool:
    if isinstance(token, _Class):
        return token.fits(character)
    return token is _Wild.ONE or token == character


def _expand(text: str) -> Iterator[str]:
    """The pattern without braces, once for each alternative."""
    start = _find_brace(text)
    if start < 0:
        yield text
        return
    options, end = _split_alternatives(text, start + 1)
    for option in options:
        for rest in _expand(option + _CLOSE + text[end:]):
            yield text[:start] + _OPEN + rest


def _find_brace(text: str) -> int:
    """Index of the first '{' that opens alternatives: neither escaped nor in a class."""
    at = 0
    while at < len(text):
        if text[at] == "{":
            return at
        at = _class_end(text, at + 1) + 1 if text[at] == "[" else at + (2 if text[at] == "\\" else 1)
    return -1


def _class_end(text: str, start: int) -> int:
    at = start
    while at < len(text) and text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    if at >= len(text):
        raise PatternInvalid("'[' without ']'")
    return at


def _split_alternatives(text: str, start: int) -> tuple[list[str], int]:
    options: list[str] = []
    depth, at, begin = 1, start, start
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        if depth == 0 or (character == "," and depth == 1):
            options.append(text[begin:at])
            begin = at + 1
        at += 1
        if depth == 0:
            return options, at
    raise PatternInvalid("'{' without '}'")


def _parse(text: str) -> tuple[_Component, ...]:
    parsed: list[_Component] = [
        _Wild.STAR if part.replace(_CLOSE, "") == "**" else _parse_component(part) for part in _split(text)
    ]
    if parsed[-1] is _Wild.STAR:
        parsed.insert(-1, (_Wild.STAR,))  # at the end it wants a component: `a/**` is not `a`
    return tuple(parsed)


def _split(text: str) -> list[str]:
    parts, begin, at = [], 0, 0
    while at < len(text):
        if text[at] == "/":
            parts.append(text[begin:at])
            begin = at + 1
        at += 2 if text[at] == "\\" else 1
    return [*parts, text[begin:]]


def _parse_component(text: str) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "[":
            end = _class_end(text, at + 1)
            tokens.append(_parse_class(text[at + 1 : end].translate(_SEAMS)))
            at = end
        elif character == "*":
            if not tokens or tokens[-1] is not _Wild.STAR:
                tokens.append(_Wild.STAR)
        elif character == "?":
            tokens.append(_Wild.ONE)
        elif character in (_OPEN, _CLOSE):
            pass
        else:
            if character == "\\":
                at += 1
                if at == len(text):
                    raise PatternInvalid("a backslash at the end escapes nothing")
            tokens.append(text[at])
        at += 1
    return tuple(tokens)


def _parse_class(text: str) -> _Class:
    is_negated = text.startswith("^")
    at, ranges = int(is_negated), []

    def take() -> str:
        nonlocal at
        if text[at : at + 1] == "\\":
            at += 1
        elif text[at : at + 1] == "-":
            raise PatternInvalid(f"'-' in [{text}] stands between no two characters")
        if at >= len(text):
            raise PatternInvalid(f"[{text}] ends too early")
        at += 1
        return text[at - 1]

    while at < len(text):
        low = high = take()
        if text[at : at + 1] == "-":
            at += 1
            high = take()
        ranges.append((low, high))
    if not ranges:
        raise PatternInvalid("a character class is empty")
    return _Class(tuple(ranges), is_negated)
