"""Versions in their order."""

import random

import pytest

from haven_registry.tag_list import platforms_of, sorted_by_version


def test_versions_come_first_and_in_order() -> None:
    # semver.org, 11.4: the chain of pre-releases
    ordered = [
        "v2", "1.10.0", "1.9.12", "v1.9.2", "1.0.0", "1.0.0-rc.1", "1.0.0-beta.11", "1.0.0-beta.2", "1.0.0-beta",
        "1.0.0-alpha.beta", "1.0.0-alpha.1", "1.0.0-alpha", "0.9", "latest", "nightly-2", "nightly-10",
    ]  # fmt: skip
    mixed = random.Random(5).sample(ordered, len(ordered))
    assert sorted_by_version(mixed) == ordered
    versions = ordered[:13]
    assert sorted_by_version(mixed, descends=False) == versions[::-1] + ordered[13:]


@pytest.mark.parametrize(
    "name",
    ["7f1c9a0e4b8d", "20261124100200", "9" * 128, "1." * 63 + "1", "v", "_", "1.0.0-" + "9" * 100, "1.-", "0.0.0+"],
)
def test_odd_names_are_only_sorted(name: str) -> None:
    assert sorted(sorted_by_version([name, "1.0", "latest"])) == sorted([name, "1.0", "latest"])


def test_platforms() -> None:
    children = [
        {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"platform": {"os": "linux", "architecture": "amd64"}},
        {"platform": {"os": "unknown", "architecture": "unknown"}},
        {},
    ]
    assert platforms_of("", children) == ("linux/arm64/v8", "linux/amd64")
    assert platforms_of("linux/386", children) == ("linux/386",)
