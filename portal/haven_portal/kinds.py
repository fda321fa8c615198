"""Types of artifacts and of accessories, as people know them."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from haven_registry.artifacts import kinds


@dataclass(frozen=True, slots=True)
class Shown:
    """How a type looks. color: of its tile, '' for the usual one."""

    label: str | Promise
    icon: str
    color: str = ""


_SHOWN = {
    kinds.IMAGE: Shown(_("Image"), icon="brand-docker"),
    kinds.CHART: Shown(_("Helm chart"), icon="ship", color="info"),
    kinds.CNAB: Shown("CNAB", icon="package", color="violet"),
    kinds.WASM: Shown("WebAssembly", icon="cpu", color="violet"),
    kinds.SBOM: Shown("SBOM", icon="file-certificate", color="warn"),
    kinds.CNAI: Shown(_("Model"), icon="brain", color="violet"),
    kinds.COSIGN: Shown(_("Cosign signature"), icon="certificate"),
    kinds.NOTATION: Shown(_("Notation signature"), icon="certificate"),
    kinds.SBOM_ACCESSORY: Shown("SBOM", icon="file-certificate"),
    kinds.SUBJECT: Shown(_("Attached artifact"), icon="link"),
}
_SIGNED = Shown(_("A signature is attached"), icon="certificate")
_HAS_SBOM = Shown(_("An SBOM is attached"), icon="file-certificate")
_OTHER = Shown(_("Artifact"), icon="box")


def kind_of(name: str) -> Shown:
    """How Harbor's name of a type is shown; one that Haven does not know by that name itself."""
    if name in _SHOWN:
        return _SHOWN[name]
    return _OTHER if name in ("", kinds.UNKNOWN) else Shown(name.capitalize(), icon="box")


def marks_of(names: Iterable[str]) -> list[Shown]:
    """What a row says of an artifact that has these types of accessories: that it is signed, by whomever, and explained."""
    found = set(names)
    marks = [_SIGNED] if found & {kinds.COSIGN, kinds.NOTATION} else []
    return marks + ([_HAS_SBOM] if kinds.SBOM_ACCESSORY in found else [])
