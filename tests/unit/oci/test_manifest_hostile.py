"""Bytes from strangers: every document has one meaning or is refused, at a bounded cost."""

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.manifest import MAX_MANIFEST_BYTES, ParsedManifest, parse_manifest
from haven_registry.oci.media_types import MANIFEST_TYPES, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from haven_registry.oci.strict_json import MAX_DEPTH, MAX_ITEMS, parse_object

DIGEST = "sha256:" + "a" * 64
IMAGE = f'{{"schemaVersion":2,"config":{{"mediaType":"{OCI_CONFIG}","digest":"{DIGEST}","size":1}},"layers":[]'


def with_member(text: str | bytes) -> bytes:
    """A valid image with one more member, in raw JSON."""
    raw = text.encode() if isinstance(text, str) else text
    return IMAGE.encode() + b"," + raw + b"}"


def message_of(payload: bytes) -> str:
    with pytest.raises(ManifestInvalid) as refused:
        parse_manifest(payload, None)
    assert refused.value.json_path == "$"
    assert len(refused.value.message) < 400
    return refused.value.message


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{\xff}", "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":"\0"}', "not JSON"),
        (b'{"a":"\\x"}', "not JSON"),
        (b'{"a":"\\u12"}', "not JSON"),
        (b"{/**/}", "not JSON"),
        (b"{}\0", "not JSON"),
        (with_member('"a":NaN'), "NaN"),
        (with_member('"a":[-Infinity]'), "-Infinity"),
        (with_member('"a":Infinity'), "Infinity"),
        (with_member('"a":1e999'), "too large"),
        (with_member('"a":' + "9" * 5000), "a number of more than"),
        (with_member('"a":0.' + "9" * 5000), "a number of more than"),
        (with_member('"a":"\\ud800"'), "lone surrogate"),
        (with_member('"a":[{"b":"\\uDFFF\\ud83d"}]'), "lone surrogate"),
        (with_member('"\\ud800":1'), "lone surrogate"),
        (with_member('"a":1,"a":1'), "the key 'a' twice"),
        (with_member('"a":{"b":{"\\u0063":1,"c":1}}'), "the key 'c' twice"),
        (with_member('"layers":[]'), "the key 'layers' twice"),
        (with_member('"' + "k" * 1_000_000 + '":1,"' + "k" * 1_000_000 + '":1'), "twice"),
    ],
)
def test_what_is_refused(payload: bytes, message: str) -> None:
    assert message in message_of(payload)


@pytest.mark.parametrize(
    "member",
    [
        '"a":"\\u0000"',
        '"\\u0000":null',
        '"a":"\\ud83d\\ude80"',
        '"a":"\\\\ud800"',
        '"a":[1,-1,1.5e3,true,false,null,{}]',
        '"a":18446744073709551615',
        '"":""',
        '"a":"]}]}[[{{,,\\"[["',
    ],
)
def test_what_is_tolerated(member: str) -> None:
    manifest = parse_manifest(with_member(member), None)

    assert manifest.media_type == OCI_MANIFEST


def test_nul_in_annotations_is_replaced() -> None:
    manifest = parse_manifest(with_member('"annotations":{"a\\u0000b":"c\\u0000"}'), None)

    assert manifest.annotations == {"a\ufffdb": "c\ufffd"}


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_the_depth_is_bounded(bracket: str) -> None:
    opening = "[" if bracket == "[]" else '{"a":'
    closing = bracket[1]

    def nested(depth: int) -> bytes:
        return f'{{"a":{opening * (depth - 1)}1{closing * (depth - 1)}}}'.encode()

    assert parse_object(nested(MAX_DEPTH))
    with pytest.raises(ManifestInvalid, match="deeper than 64"):
        parse_object(nested(MAX_DEPTH + 1))


def test_the_items_are_bounded() -> None:
    parse_object(b'{"a":[' + b"1," * (MAX_ITEMS - 10) + b"1]}")
    with pytest.raises(ManifestInvalid, match="more than 200000 items"):
        parse_object(b'{"a":[' + b"1," * MAX_ITEMS + b"1]}")


def fill(unit: bytes, head: bytes = b"") -> bytes:
    return head + unit * ((MAX_MANIFEST_BYTES - len(head)) // len(unit))


@pytest.mark.parametrize(
    "payload",
    [
        fill(b"["),
        fill(b'{"a":'),
        fill(b"{}", b"["),
        fill(b"],[", b'{"a":['),
        fill(b"1,", b'{"a":['),
        fill(b'"a":1,', b"{"),
        fill(b"9", b'{"a":'),
        fill(b"9", b'{"a":0.'),
        fill(b'"'),
        fill(b'\\"', b'{"a":"'),
        fill(b'"\\'),
        fill(b"\\"),
        fill(b"a", b'{"a":"'),
        fill(b"\\ud800", b'{"a":"') + b'"}',
        fill(b"\\u0000", b'{"a":"') + b'"}',
        fill(b" "),
        fill(b"\xff"),
        fill(b"]"),
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_four_hostile_mebibytes_are_refused_in_time(payload: bytes) -> None:
    started = time.process_time()
    with pytest.raises(ManifestInvalid):
        parse_manifest(payload, OCI_INDEX)
    assert time.process_time() - started < 2  # tens of milliseconds; the bound tells linear from quadratic


def is_safe_for_postgresql(manifest: ParsedManifest) -> bool:
    texts = [manifest.media_type, manifest.artifact_type, *manifest.annotations, *manifest.annotations.values()]
    descriptors = [*manifest.layers, *manifest.manifests]
    descriptors += [each for each in (manifest.config, manifest.subject) if each is not None]
    for each in descriptors:
        texts += [each.media_type, each.artifact_type, str(each.digest), *each.urls]
        texts += [*each.annotations, *each.annotations.values()]
        if each.platform is not None:
            texts += [each.platform.os, each.platform.architecture, each.platform.variant, each.platform.os_version]
        assert 0 <= each.size < 2**63
    assert manifest.total_size < 2**63
    return "\0" not in "".join(texts).encode("utf-8").decode()


def check(payload: bytes, content_type: str | None) -> None:
    try:
        manifest = parse_manifest(payload, content_type)
    except ManifestInvalid as error:
        error.message.encode("utf-8")
        json.dumps(dict(error.detail))
    else:
        assert manifest.media_type in MANIFEST_TYPES
        assert is_safe_for_postgresql(manifest)


content_types = st.none() | st.sampled_from(sorted(MANIFEST_TYPES)) | st.text(max_size=5)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([DIGEST, OCI_MANIFEST, OCI_LAYER, "\0", "sha512:x"])
)
names = st.sampled_from(
    ["mediaType", "digest", "size", "annotations", "platform", "urls", "data", "artifactType", "os", "a", "Size"]
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=6
)
annotations = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)
good_descriptors = st.fixed_dictionaries(
    {
        "mediaType": st.sampled_from([OCI_MANIFEST, OCI_LAYER, "a/b"]),
        "digest": st.just(DIGEST),
        "size": st.integers(0, 2**63),
    },
    optional={
        "annotations": annotations,
        "platform": st.dictionaries(st.just("os"), st.text(max_size=3)),
        "data": st.just(""),
    },
)
descriptors = good_descriptors | anything
documents = st.fixed_dictionaries(
    {"schemaVersion": st.just(2) | scalars},
    optional={
        "mediaType": st.sampled_from(sorted(MANIFEST_TYPES)) | scalars,
        "config": descriptors,
        "layers": st.lists(descriptors, max_size=3) | anything,
        "manifests": st.lists(descriptors, max_size=3) | anything,
        "subject": descriptors,
        "artifactType": st.text(max_size=5) | anything,
        "annotations": annotations | anything,
        "custom": anything,
    },
)


@given(documents, content_types)
def test_documents_like_manifests_are_read_or_refused(document: dict[str, Any], content_type: str | None) -> None:
    check(json.dumps(document).encode(), content_type)


@given(anything)
def test_any_json_is_read_or_refused(document: Any) -> None:
    check(json.dumps(document).encode(), None)


@given(st.binary(max_size=200) | st.text('{}[]",:\\u0d8fe+-. \n\0', max_size=200).map(str.encode), content_types)
def test_any_bytes_are_read_or_refused(payload: bytes, content_type: str | None) -> None:
    check(payload, content_type)


@settings(max_examples=200)
@given(st.integers(0, 2**32), content_types)
def test_damaged_manifests_are_read_or_refused(seed: int, content_type: str | None) -> None:
    chance = random.Random(seed)
    payload = bytearray(with_member(f'"subject":{{"digest":"{DIGEST}","size":9}},"annotations":{{"a":"\\u0041"}}'))
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(payload))
        payload[position : position + chance.randint(0, 2)] = bytes(
            chance.choices(b'{}[]",:\\0eE-\x00\xff\xed', k=chance.randint(0, 2))
        )
    check(bytes(payload), content_type)


@given(documents)
def test_the_reader_agrees_with_json(document: dict[str, Any]) -> None:
    payload = json.dumps(document).encode()
    try:
        read = parse_object(payload)
    except ManifestInvalid:
        return
    assert read == json.loads(payload)
