"""Digests: the grammar, the algorithms, the round trip."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven_registry.oci.digest import Digest, new_hash
from haven_registry.oci.errors import DigestInvalid, DigestUnsupported

HEX = "0123456789abcdef"
SHA256 = "sha256:" + "a1" * 32
SHA512 = "sha512:" + "b2" * 64

digests = st.one_of(
    st.builds(Digest, st.just("sha256"), st.text(HEX, min_size=64, max_size=64)),
    st.builds(Digest, st.just("sha512"), st.text(HEX, min_size=128, max_size=128)),
)


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_a_supported_digest_is_read(text: str) -> None:
    digest = Digest.parse(text)

    assert str(digest) == text
    assert (digest.algorithm, digest.encoded) == tuple(text.split(":"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:baddigeststring",
        SHA256[:-1],
        SHA256 + "0",
        SHA256.upper(),
        "sha256:" + "A1" * 32,
        "SHA256:" + "a1" * 32,
        SHA256 + "\n",
        SHA256 + " ",
        " " + SHA256,
        SHA256 + "\0",
        "sha256:" + "٠" * 64,
        "sha512:" + "a1" * 32,
        "sha256:" + "a1" * 64,
        "-sha:abc",
        "a..b:abc",
        "md5:ab/cd",
        "md5:ab\n",
        "sha384:",
        "x:" + "a" * 2000,
        "\ud800:abc",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as refused:
        Digest.parse(text)

    assert type(refused.value) is DigestInvalid
    assert refused.value.code == "DIGEST_INVALID"
    assert len(refused.value.message) < 300
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("text", ["sha384:" + "a1" * 48, "blake3:" + "a1" * 32, "md5:x", "multihash+base58:Qm_=-"])
def test_an_unknown_algorithm_is_told_apart(text: str) -> None:
    with pytest.raises(DigestUnsupported) as refused:
        Digest.parse(text)

    assert "not supported" in refused.value.message
    assert refused.value.detail == {"supported": ["sha256", "sha512"]}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_digest_of_bytes(algorithm: str) -> None:
    digest = Digest.of(b"{}", algorithm)

    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, b'{}').hexdigest()}"


def test_the_digest_of_the_empty_descriptor() -> None:
    assert str(Digest.of(b"{}")) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "blake3", "", "sha256\n"])
def test_no_hash_of_another_algorithm(algorithm: str) -> None:
    with pytest.raises(DigestUnsupported):
        new_hash(algorithm)


@given(digests)
def test_text_and_value_are_the_same(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest
    assert hash(Digest.parse(str(digest))) == hash(digest)


@given(digests, st.sampled_from(["\n", "\r", " ", "\0", "\u2028"]))
def test_a_character_too_many_is_refused(digest: Digest, suffix: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(f"{digest}{suffix}")


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(DigestInvalid):
        assert str(Digest.parse(text)) == text
