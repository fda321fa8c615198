"""Writes the generated part of docs/harbor-compatibility.md: facts, Haven's URLs, the tests, and decisions.toml.

python -m tests.contract.compatibility            rewrite it
python -m tests.contract.compatibility --check    exit code 1 when it is out of date; changes nothing
"""

import os
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.contract.facts import FOLDER, operations
from tests.contract.shown_by import ROOT

PAGE = ROOT / "docs" / "harbor-compatibility.md"
BEGIN, END = "<!-- generated: operations -->\n", "<!-- end: operations -->"


def states() -> dict[str, tuple[str, str]]:
    """operationId to its state and what there is to say of it."""
    from tests.contract.routes import answered
    from tests.contract.shown_by import tests_of_operations

    decisions = decided()
    shown, found = tests_of_operations(), {}
    for name in operations():
        if name in decisions["different"]:
            found[name] = ("different", decisions["different"][name])
        elif name not in answered():
            found[name] = ("planned", "")
        else:
            words = [f"`{shown[name]}`"] if name in shown else []
            found[name] = (
                "done" if words else "untested",
                "; ".join(words + [decisions["note"].get(name, "")] * (name in decisions["note"])),
            )
    return found


def decided() -> Any:
    """decisions.toml. Raises ValueError for an operation that does not exist."""
    decisions = tomllib.loads((FOLDER / "decisions.toml").read_text(encoding="utf-8"))
    if unknown := [name for table in decisions.values() for name in table if name not in operations()]:
        raise ValueError(f"decisions.toml: Harbor has no operation {', '.join(unknown)}")
    return decisions


def block() -> str:
    """Everything between the marks."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from tests.contract.routes import own_paths

    found = states()
    count = Counter(state for state, _ in found.values())
    yield f"Of {len(found)} operations: " + ", ".join(f"{count[state]} {state}" for state in sorted(count)) + "."
    for tag in dict.fromkeys(each.tag for each in operations().values()):
        yield from (
            "",
            f"### {tag}",
            "",
            "| call | operation | state | shown by, or why |",
            "| --- | --- | --- | --- |",
        )
        for each in operations().values():
            if each.tag == tag:
                yield f"| {each.method} {each.path} | {each.id} | {found[each.id][0]} | {found[each.id][1]} |"
    yield from ("", "### Haven's own", "", "| path | methods | what |", "| --- | --- | --- |")
    yield from (f"| {own.path} | {', '.join(own.methods)} | {own.meaning} |" for own in own_paths())


def rendered() -> str:
    """The page as it should be. Raises ValueError when its marks are gone."""
    before, has_begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, has_end, after = rest.partition(END)
    if not (has_begin and has_end):
        raise ValueError(f"{PAGE} has no block between {BEGIN.strip()} and {END}")
    return f"{before}{BEGIN}{block()}{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page when it differs, or with --check only say so."""
    should_be = rendered()
    if PAGE.read_text(encoding="utf-8") == should_be:
        return 0
    if "--check" in arguments:
        print("docs/harbor-compatibility.md is out of date: run python -m tests.contract.compatibility")
        return 1
    PAGE.write_text(should_be, encoding="utf-8")
    print("docs/harbor-compatibility.md written")
    return 0


def _set_up_django() -> None:
    """URLs and views, without a database or a data folder of anybody's."""
    sys.path[:0] = [str(ROOT / room) for room in ("core", "registry", "gc", "portal", "deploy")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")
    import django

    django.setup()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="haven-") as data_dir:
        os.environ["HAVEN_DATA_DIR"] = data_dir
        _set_up_django()
        sys.exit(main(sys.argv[1:]))
