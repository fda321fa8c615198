"""Repository names, tags, references and the fallback tags of referrers."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid, DigestUnsupported, TagInvalid
from haven_registry.oci.reference import (
    fallback_tag,
    is_repository_name,
    is_tag,
    parse_fallback_tag,
    parse_reference,
)

NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
SHA256 = Digest("sha256", "a1" * 32)
SHA512 = Digest("sha512", "ab12" * 32)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "library/alpine",
        "a/b/c/d",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a---b",
        "p/blobs/uploads",
        "tags/list",
        "0",
        "a" * 255,
    ],
)
def test_repository_names(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/a", "a/", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", ".a", "a.", "a_", "a b", "a:b", "a@b",
        "a\n", "a/b\n", "\na", "é", "а", "a\0", "..", "a/../b", "%61", "a" * 256, "a/" * 127 + "bb",
    ],
)  # fmt: skip
def test_texts_that_are_no_repository_name(name: str) -> None:
    assert not is_repository_name(name)


@pytest.mark.parametrize(
    "tag", ["latest", "1.0", "_", "V1", "a" * 128, "sha256-" + "a" * 64, "1.0_build", "a..b", "-".join("ab")]
)
def test_tags(tag: str) -> None:
    assert is_tag(tag)
    assert parse_reference(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a b", "a+b", "a" * 129, "latest\n", "é", "a\0", "a@b"])
def test_texts_that_are_no_tag(tag: str) -> None:
    assert not is_tag(tag)
    with pytest.raises(TagInvalid) as refused:
        parse_reference(tag)
    assert refused.value.code == "TAG_INVALID"


def test_a_reference_with_a_colon_is_a_digest() -> None:
    assert parse_reference(str(SHA256)) == SHA256
    assert parse_reference(str(SHA512)) == SHA512


@pytest.mark.parametrize("text", ["sha256:baddigeststring", "latest:", ":", f"{SHA256}   ", "a:b:c"])
def test_a_bad_digest_is_never_a_tag(text: str) -> None:
    with pytest.raises(DigestInvalid):
        parse_reference(text)


def test_an_unsupported_digest_is_never_a_tag() -> None:
    with pytest.raises(DigestUnsupported):
        parse_reference("sha384:" + "a" * 96)


@settings(max_examples=30)  # names are slow to make
@given(st.from_regex(NAME, fullmatch=True))
def test_every_name_of_the_grammar_up_to_the_cap(name: str) -> None:
    assert is_repository_name(name) == (len(name) <= 255)
    assert not is_repository_name(name + "\n")


@given(st.from_regex(TAG, fullmatch=True))
def test_every_tag_of_the_grammar(tag: str) -> None:
    assert is_tag(tag)
    assert not is_tag(tag + "\n")


@given(st.text("ab01AB._-/:\n ", max_size=40))
def test_names_and_tags_agree_with_the_published_grammar(text: str) -> None:
    assert is_repository_name(text) == (re.fullmatch(NAME, text) is not None)
    assert is_tag(text) == (re.fullmatch(TAG, text) is not None)


@pytest.mark.parametrize("text", ["a" * 10_000_000, "a-" * 120 + "!", "-" * 254 + "a", "a" + "-" * 253 + "!"])
def test_hostile_names_cost_nothing(text: str) -> None:
    started = time.process_time()
    assert not is_repository_name(text)
    assert not is_tag(text)
    assert time.process_time() - started < 0.5


def test_fallback_tag_of_sha256_names_its_subject() -> None:
    tag = fallback_tag(SHA256)

    assert tag == "sha256-" + "a1" * 32
    candidate = parse_fallback_tag(tag)
    assert candidate is not None
    assert candidate.digest == SHA256
    assert candidate.names(SHA256)
    assert not candidate.names(Digest("sha256", "a2" * 32))


def test_fallback_tag_of_sha512_is_cut() -> None:
    tag = fallback_tag(SHA512)

    assert tag == "sha512-" + "ab12" * 16
    candidate = parse_fallback_tag(tag)
    assert candidate is not None
    assert candidate.digest is None
    assert candidate.names(SHA512)
    assert not candidate.names(Digest("sha512", "ff" * 64))
    assert not candidate.names(Digest("sha256", "ab12" * 16))


def test_fallback_tag_replaces_what_a_tag_cannot_hold() -> None:
    assert fallback_tag(Digest("a+b" * 20, "x=y" * 40)) == "a-b" * 10 + "a-" + "-" + "x-y" * 21 + "x"


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "sha256-" + "a1" * 32 + ".sig",
        "sha256-" + "a1" * 31,
        "sha256-" + "A1" * 32,
        "sha512-" + "a1" * 64,
        "sha384-" + "a1" * 32,
        "sha256-" + "a1" * 32 + "\n",
    ],
)
def test_other_tags_are_no_fallback_tags(tag: str) -> None:
    assert parse_fallback_tag(tag) is None
