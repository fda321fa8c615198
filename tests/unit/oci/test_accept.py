"""Accept and Content-Type of manifests."""

import pytest

from haven_registry.oci import media_types
from haven_registry.oci.accept import accepts
from haven_registry.oci.media_types import normalise_content_type

OCI = media_types.OCI_MANIFEST
INDEX = media_types.OCI_INDEX
DOCKER = media_types.DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("application/*", True),
        (f"{DOCKER}, */*", True),
        (f"{DOCKER}, */*;q=0.1", True),
        (OCI, True),
        (OCI.upper(), True),
        (f"{OCI};q=0.5", True),
        (f"{DOCKER},{INDEX} , {OCI}", True),
        ("application/json", True),
        ("text/html, application/xml", True),
        (DOCKER, False),
        (f"{DOCKER}, {INDEX}", False),
        (f"{DOCKER}, application/json", False),
        (media_types.DOCKER_SCHEMA1_SIGNED, False),
    ],
)
def test_who_takes_an_oci_manifest(header: str | None, expected: bool) -> None:
    assert accepts(header, OCI) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ""),
        ("", ""),
        (OCI, OCI),
        (f"{OCI}; charset=utf-8", OCI),
        (f"  {OCI.upper()} ;x=y;z", OCI),
        (";", ""),
    ],
)
def test_content_types_are_normalised(header: str | None, expected: str) -> None:
    assert normalise_content_type(header) == expected
