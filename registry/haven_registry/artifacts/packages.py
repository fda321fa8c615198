"""What is installed, by an SBOM: SPDX, CycloneDX and Syft's own, plain or stated about an image (in-toto)."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from haven_registry.oci.errors import ManifestInvalid
from haven_registry.oci.strict_json import parse_object

MAX_PACKAGES = 50_000
"""Different ones of one SBOM that are read."""

_MAX_ITEMS = 2_000_000  # of one document; a package takes 20 to 60 of them, each of its files ten
_MAX_TEXT = 512
_MAX_DEPTH = 16  # components in components
_WRAPPERS = 4  # a bundle holds an envelope, that a statement, and that the document

# their namespace is the distribution, which packages of one name have in common
_OF_SYSTEMS = frozenset({"deb", "rpm", "apk", "alpm"})


class Package(NamedTuple):
    """A package in whatever version. type: that of its package URL (purl-spec), such as deb or npm; '' without one."""

    type: str
    name: str


def read_packages(data: bytes) -> dict[Package, tuple[str, ...]]:
    """The packages that an SBOM in JSON lists, and the versions it has of each, sorted; '' for one without.

    What the document is about is no package of it, nor is a file, nor the system. Raises ValueError for what is no JSON,
    or no SBOM.
    """
    document = _unwrapped(_parse(data))
    found: dict[Package, set[str]] = {}
    for package, version in _listed(document):
        if package in found or len(found) < MAX_PACKAGES:
            found.setdefault(package, set()).add(version)
    return {package: tuple(sorted(versions)) for package, versions in found.items()}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        return parse_object(data, max_items=_MAX_ITEMS)
    except ManifestInvalid as invalid:
        raise ValueError(str(invalid).replace("the manifest", "it")) from None


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    """What a statement says, out of its envelope and that out of its bundle; a plain document as it is."""
    for _ in range(_WRAPPERS):
        if isinstance(inside := document.get("dsseEnvelope"), dict) or isinstance(
            inside := document.get("predicate"), dict
        ):
            document = inside
        elif isinstance(document.get("payloadType"), str) and isinstance(payload := document.get("payload"), str):
            try:
                document = _parse(base64.b64decode(payload))
            except binascii.Error:
                raise ValueError("its envelope holds no base64") from None
    return document


def _listed(document: Mapping[str, Any]) -> Iterator[tuple[Package, str]]:
    if isinstance(document.get("spdxVersion"), str):
        return _spdx(document)
    if document.get("bomFormat") == "CycloneDX":
        return _cyclonedx(document.get("components"), _MAX_DEPTH)
    if isinstance(document.get("artifacts"), list):
        return _syft(document)
    raise ValueError("it is none of SPDX, CycloneDX and Syft")


def _spdx(document: Mapping[str, Any]) -> Iterator[tuple[Package, str]]:
    """SPDX 2 (annexes A to G): `packages`."""
    described = _described(document)
    entries = _objects(document.get("packages"))
    for entry in entries:
        if len(described) == 1 and entry.get("SPDXID") in described and len(entries) > 1:
            continue  # the image itself
        references = _objects(entry.get("externalRefs"))
        urls = (_text(each, "referenceLocator") for each in references if each.get("referenceType") == "purl")
        yield from _package(next(urls, ""), _text(entry, "name"), _text(entry, "versionInfo"))


def _described(document: Mapping[str, Any]) -> set[str]:
    """Ids of what an SPDX document is about."""
    listed = document.get("documentDescribes")
    found = {each for each in listed if isinstance(each, str)} if isinstance(listed, list) else set()
    for each in _objects(document.get("relationships")):
        if each.get("relationshipType") == "DESCRIBES" and each.get("spdxElementId") == "SPDXRef-DOCUMENT":
            found.add(_text(each, "relatedSpdxElement"))
    return found


def _cyclonedx(components: Any, depth: int) -> Iterator[tuple[Package, str]]:
    """CycloneDX: `components`, which may have some of their own."""
    for entry in _objects(components):
        if entry.get("type") not in ("file", "operating-system"):  # the distribution, which SPDX does not list
            name = "/".join(filter(None, (_text(entry, "group"), _text(entry, "name"))))
            yield from _package(_text(entry, "purl"), name, _text(entry, "version"))
        if depth > 0:
            yield from _cyclonedx(entry.get("components"), depth - 1)


def _syft(document: Mapping[str, Any]) -> Iterator[tuple[Package, str]]:
    for entry in _objects(document["artifacts"]):
        yield from _package(_text(entry, "purl"), _text(entry, "name"), _text(entry, "version"))


def _package(url: str, name: str, version: str) -> Iterator[tuple[Package, str]]:
    """By the package URL, which says the same in every format; by `name` where there is none."""
    kind, path, stated = _split_url(url)
    if kind in _OF_SYSTEMS:
        path = path.rpartition("/")[2]
    if path or name:
        yield Package(kind, path or name), version or stated


def _split_url(url: str) -> tuple[str, str, str]:
    """Type, namespace with name, and version of `pkg:type/namespace/name@version?qualifiers#subpath`; all '' for what is
    none."""
    if not url.startswith("pkg:"):
        return "", "", ""
    kind, _, rest = url[4:].lstrip("/").partition("#")[0].partition("?")[0].partition("/")
    path, at, version = rest.rpartition("@")
    if not at or not path or path.endswith("/"):  # no version: the @ is that of a scope
        path, version = rest, ""
    return kind.lower(), _printable(path.strip("/")), _printable(version)


def _printable(escaped: str) -> str:
    return unquote(escaped, errors="replace")[:_MAX_TEXT]


def _objects(value: Any) -> list[dict[str, Any]]:
    """Strangers may write anything there."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value[:_MAX_TEXT] if isinstance(value, str) else ""
