"""Repository names, tags and references (distribution-spec, "Pulling manifests" and "Referrers Tag Schema")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .digest import Digest
from .errors import TagInvalid, excerpt

MAX_REPOSITORY_NAME_CHARACTERS = 255  # clients cap `host[:port]/name` at the same number
MAX_TAG_CHARACTERS = 128

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_repository_name = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*").fullmatch
_tag = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}").fullmatch

_FALLBACK_ALGORITHM_CHARACTERS = 32
_FALLBACK_ENCODED_CHARACTERS = 64
_fallback_tag = re.compile(r"(sha256|sha512)-([0-9a-f]{64})").fullmatch
_not_in_a_tag = re.compile(r"[^a-zA-Z0-9._-]")


def is_repository_name(text: str) -> bool:
    """Whether `text` follows the grammar of `<name>`. Any component is allowed, also `blobs`, `tags`, `manifests`."""
    return len(text) <= MAX_REPOSITORY_NAME_CHARACTERS and _repository_name(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` follows the grammar of a tag (case-sensitive)."""
    return len(text) <= MAX_TAG_CHARACTERS and _tag(text) is not None


def parse_reference(text: str) -> str | Digest:
    """Read the `<reference>` of a manifest URL: a tag comes back as it is, a digest as `Digest`.

    A tag cannot hold a colon, so a text with one is a digest or an error, never a tag.

    Raises:
        DigestInvalid: there is a colon, and the text is not a supported digest.
        TagInvalid: there is none, and the text is not a tag.
    """
    if ":" in text:
        return Digest.parse(text)
    if not is_tag(text):
        raise TagInvalid(f"{excerpt(text)} is not a tag")
    return text


@dataclass(frozen=True, slots=True)
class FallbackTag:
    """A tag that a client without the referrers API may have written for a subject.

    `encoded` is the whole of a sha256, but only the first half of a sha512.
    """

    algorithm: str
    encoded: str

    @property
    def digest(self) -> Digest | None:
        """The subject, where the tag names all of it; None for the half of a sha512."""
        return Digest(self.algorithm, self.encoded) if self.algorithm == "sha256" else None

    def names(self, subject: Digest) -> bool:
        """Whether the tag is the one a client writes for `subject`."""
        return subject.algorithm == self.algorithm and subject.encoded.startswith(self.encoded)


def fallback_tag(subject: Digest) -> str:
    """The referrers tag of `subject`: algorithm up to 32, `-`, encoded part up to 64 characters, the rest replaced."""
    algorithm = subject.algorithm[:_FALLBACK_ALGORITHM_CHARACTERS]
    encoded = subject.encoded[:_FALLBACK_ENCODED_CHARACTERS]
    return f"{_not_in_a_tag.sub('-', algorithm)}-{_not_in_a_tag.sub('-', encoded)}"


def parse_fallback_tag(tag: str) -> FallbackTag | None:
    """Read a referrers tag of a supported algorithm; None for every other tag (also cosign's `sha256-<hex>.sig`).

    The tag alone proves nothing, since anyone may push one: index its children by the subject each names itself.
    """
    match = _fallback_tag(tag)
    return None if match is None else FallbackTag(match[1], match[2])
