"""The pages that repeat what the code says, say what the code says."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven_core import config, errors
from haven_core.errors import HavenError

ROOT = Path(__file__).parents[3]
GENERATE = runpy.run_path(str(ROOT / "docs" / "generate.py"))


@pytest.mark.parametrize("page", ["configuration.md", "errors.md"])
def test_page_is_up_to_date(page: str) -> None:
    is_text, should_be = (ROOT / "docs" / page).read_text(encoding="utf-8"), GENERATE["rendered"](page)
    assert is_text == should_be, "run python docs/generate.py"


def test_configuration_page_names_every_variable() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    known = {variable.name for variable in config.VARIABLES} | config._KNOWN_ELSEWHERE
    assert sorted(name for name in known if f"| `{name}` |" not in page) == []


def test_error_page_says_what_the_classes_say() -> None:
    """The page is read from source text; here Python itself is asked."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    loaded = [error for error in _subclasses(HavenError) if error.__module__ == errors.__name__]
    assert len(loaded) > 5
    for error in loaded:
        assert f"| `{error.__name__}` | {error.status} | `{error.oci_code}` | `{error.api_code}` |" in page


def test_a_page_without_its_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GENERATE["BLOCKS"]["errors.md"], "lost", lambda: "")
    with pytest.raises(ValueError, match="lost"):
        GENERATE["rendered"]("errors.md")


def _subclasses(cls: type[HavenError]) -> Iterator[type[HavenError]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
