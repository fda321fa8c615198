"""Processors on good, wrong and hostile configs."""

import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from haven_registry.artifacts.charts import MAX_UNPACKED_BYTES, chart_dependencies, chart_file
from haven_registry.artifacts.details import MAX_STORED_BYTES, Details
from haven_registry.artifacts.extract import extract, wanted_blob
from haven_registry.artifacts.kinds import artifact_kind
from haven_registry.oci.manifest import ParsedManifest, parse_manifest
from tests.support.artifacts import Artifact
from tests.support.documents import digest_of, image, index

CONFIG, FIRST, SECOND = (digest_of(data) for data in (b"config", b"first", b"second"))


def read(config: Any, *layers: str) -> Details:
    payload = config if isinstance(config, bytes) else json.dumps(config).encode()
    return extract("IMAGE", parsed(*layers), payload)


def parsed(*layers: str) -> ParsedManifest:
    return parse_manifest(image(CONFIG, *layers), None)


def test_an_image_says_how_it_was_built() -> None:
    details = read(
        {
            "os": "linux", "architecture": "arm64", "variant": "v8", "author": "me", "created": "2024-01-02T03:04:05Z",
            "config": {"Env": ["A=1"], "Labels": {"x": "<script>"}},
            "history": [
                {"created_by": "ADD rootfs"}, {"created_by": "ENV A=1", "empty_layer": True}, {"created_by": "RUN x"},
            ],
        },
        FIRST, SECOND,
    )  # fmt: skip
    assert (details.platform, details.author, details.created, details.error) == (
        "linux/arm64/v8", "me", "2024-01-02T03:04:05Z", "",
    )  # fmt: skip
    assert details.extra["config"]["Labels"] == {"x": "<script>"}
    assert [step.get("digest") for step in details.history] == [FIRST, None, SECOND]
    assert details.annotations == {"nonce": "0"}


def test_an_author_may_be_a_label() -> None:
    for more, labels, author in (
        ({}, {"maintainer": "me"}, "me"), ({"author": "she"}, {"maintainer": "me"}, "she"), ({}, {"maintainer": 5}, ""),
        ({}, ["maintainer"], ""),
    ):  # fmt: skip
        config = {"config": {"Labels": labels}} | more
        assert extract("IMAGE", parsed(), json.dumps(config).encode()).author == author


def test_a_history_that_does_not_fit_names_no_layer() -> None:
    details = read({"history": [{"created_by": "one"}]}, FIRST, SECOND)
    assert "digest" not in details.history[0]
    assert "1 steps with a layer, the manifest 2 layers" in details.error


@pytest.mark.parametrize(
    "config",
    [
        b"", b"{", b"[]", b"\xff", b"null", b'{"a":1,"a":2}', b'{"a":' * 100_000, b'{"os":NaN}', b'{"a":"\\ud800"}',
        b'{"a":[' + b"1," * 300_000 + b"1]}",
    ],
)  # fmt: skip
def test_a_hostile_config_leaves_its_reason(config: bytes) -> None:
    details = read(config, FIRST)
    assert details.error.startswith("the config can't be read: ")
    assert (details.platform, details.extra, details.history) == ("", {}, ())


def test_wrong_types_are_missing_and_named() -> None:
    details = read({"os": 1, "architecture": [], "config": "x", "history": {"a": 1}, "created": {}}, FIRST)
    assert (details.platform, details.created, details.history) == ("", "", [])
    assert "config is not an object" in details.error
    assert "history is not a list" in details.error
    assert read({"config": None, "history": None}, FIRST).error == ""
    assert "no objects" in read({"history": [1, {}]}, FIRST).error


def test_no_nul_and_nothing_huge_is_kept() -> None:
    assert read({"author": "a\0b", "config": {"\0": "\0"}}).extra["config"] == {"\ufffd": "\ufffd"}
    details = read({"os": "linux", "config": {"Env": ["x" * MAX_STORED_BYTES]}})
    assert (details.platform, details.extra) == ("linux", {})
    assert "not shown" in details.error


def test_an_index_lists_its_children() -> None:
    body = json.loads(index(FIRST))
    body["manifests"][0]["platform"] = {"os": "linux", "architecture": "arm", "variant": "v7"}
    details = extract("IMAGE", parse_manifest(json.dumps(body).encode(), None), None)
    assert details.children == [
        {"child_digest": FIRST, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}
    ]


def test_configs_of_unknown_kinds_are_not_read() -> None:
    assert wanted_blob("IMAGE", parsed()) == parsed().config
    assert wanted_blob("ROCKET", parsed()) is None
    for config, is_read in (
        ("application/vnd.acme.rocket.config.v1+json", True), ("application/vnd.acme.rocket.config.v1+yaml", False),
        ("application/vnd.acme.rocket.config", False), ("application/json", False),
    ):  # fmt: skip
        rocket = parse_manifest(Artifact([], config=(config, b"{}")).payload, None)
        assert wanted_blob(artifact_kind(rocket), rocket) == (rocket.config if is_read else None), config
    assert wanted_blob("IMAGE", parse_manifest(index(), None)) is None


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"chart/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def test_a_chart_has_files_and_dependencies() -> None:
    chart = archive(**{"Chart.yaml": b"name: x", "charts/sub/README.md": b"no", "README.md": b"# Hi \xff"})
    assert chart_file(chart, "readme.md") == "# Hi \ufffd"
    assert chart_file(chart, "values.yaml") is None
    details = extract("CHART", parsed(), b'{"name":"x","dependencies":[{"name":"db","version":"1"},7]}')
    assert chart_dependencies(details.extra) == [{"name": "db", "version": "1", "repository": ""}]
    assert chart_dependencies({"dependencies": "x"}) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"x", gzip.compress(b"no tar" * 500), archive(a=b"x" * 2000)[:60]],
    ids=["empty", "a letter", "no tar", "cut"],
)
def test_a_broken_chart_is_no_archive(data: bytes) -> None:
    try:
        assert chart_file(data, "readme.md") is None
    except ValueError as error:
        assert "gzipped tar" in str(error)  # noqa: PT017  # both are right; nothing else is raised


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(ValueError, match="larger than"):
        chart_file(gzip.compress(bytes(MAX_UNPACKED_BYTES + 1)), "readme.md")
