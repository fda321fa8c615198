"""Writes the parts of the documents that are read from the code: the tables of settings and of configuration keys, and the
catalogue of errors.

    python docs/generate.py            rewrite them
    python docs/generate.py --check    exit code 1 when one is out of date; changes nothing

Needs nothing but Python. Errors are read from the source text, not by importing it, so none is missed because nobody
imported its module, and no database or setting is needed to describe them.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "registry", "gc", "portal", "deploy")
sys.path[:0] = [str(ROOT / room) for room in ROOMS]

from haven_core.config import VARIABLES, Config, load_config  # noqa: E402  # needs the path above
from haven_core.configuration.keys import KEYS, Key, Kind  # noqa: E402

_UNITS = {"MINUTES": timedelta(minutes=1), "HOURS": timedelta(hours=1), "DAYS": timedelta(days=1)}


def settings_table() -> str:
    """Every variable of haven_core.config, with the default of the embedded stack."""
    config = load_config({"HAVEN_DATA_DIR": "/DATA", "HAVEN_SECRET_KEY": "x" * 32})
    rows = [
        (f"`{variable.name}`", _default(config, variable.name, variable.field), variable.meaning)
        for variable in VARIABLES
    ]
    return _table(("variable", "default", "meaning"), rows)


def _default(config: Config, name: str, field: str) -> str:
    if name == "HAVEN_DATA_DIR":
        return "`./data`"
    if name == "HAVEN_SECRET_KEY":
        return "made once, kept in `DATA/secret-key`"
    value = getattr(config, field)
    if isinstance(value, timedelta):
        return f"`{value / _UNITS[name.rpartition('_')[2]]:g}`"
    text = str(value).lower() if isinstance(value, bool) else str(value).replace("/DATA", "DATA")
    return f"`{text}`" if text else ""


_TYPES = {Kind.TEXT: "text", Kind.BOOLEAN: "boolean", Kind.NUMBER: "number", Kind.SECRET: "secret text"}
_NO_VALUES = {Kind.TEXT: ("?:", ""), Kind.NUMBER: (-(10**12),)}  # what keys refuse, and say why


def keys_table() -> str:
    """Every key of haven_core.configuration; what a value must be in the words of its refusal."""
    rows = [(f"`{key.name}`", _TYPES[key.kind], _default_of(key), _rule_of(key)) for key in KEYS.values()]
    return _table(("key", "type", "default", "a value"), rows)


def _default_of(key: Key) -> str:
    text = str(key.default).lower() if key.kind is Kind.BOOLEAN else str(key.default)
    return f"`{text}`" if text else ""


def _rule_of(key: Key) -> str:
    return next((found for value in _NO_VALUES.get(key.kind, ()) if (found := key.check(value))), "")


@dataclass(frozen=True)
class ErrorClass:
    """A class as its source text has it: names of its bases, class attributes that are constants, docstring."""

    name: str
    bases: tuple[str, ...]
    attributes: dict[str, Any]
    meaning: str


def error_classes() -> dict[str, ErrorClass]:
    """Every class of the rooms, by its name: an error's name is its own, whatever module it stands in."""
    found: dict[str, ErrorClass] = {}
    for path in sorted(
        path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name] = _read(node)
    return found


def _read(node: ast.ClassDef) -> ErrorClass:
    bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
    return ErrorClass(node.name, bases, dict(_constants(node)), _flowing(ast.get_docstring(node) or ""))


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if isinstance(statement.value, ast.Constant):
            yield from ((target.id, statement.value.value) for target in targets if isinstance(target, ast.Name))


def descends(classes: dict[str, ErrorClass], name: str, base: str) -> bool:
    """Whether the class `name` has `base` above it."""
    bases = classes[name].bases if name in classes else ()
    return base in bases or any(descends(classes, above, base) for above in bases)


def attribute(classes: dict[str, ErrorClass], name: str, wanted: str) -> Any:
    """A class attribute, inherited where the class has none of its own; None where nobody has it."""
    if name not in classes:
        return None
    own = classes[name].attributes
    return own[wanted] if wanted in own else attribute(classes, classes[name].bases[0], wanted)


def domain_errors() -> str:
    """Subclasses of HavenError: those a service or a view raises."""
    classes = error_classes()
    rows = []
    for name in _public(classes, "HavenError"):
        status, api_status = (attribute(classes, name, wanted) for wanted in ("status", "api_status"))
        codes = [attribute(classes, name, wanted) for wanted in ("oci_code", "api_code")]
        shown = f"{status}, {api_status} on /api" if api_status else str(status)
        rows.append((f"`{name}`", shown, *(f"`{code}`" for code in codes), classes[name].meaning))
    return _table(("error", "status", "code on /v2", "code on /api", "meaning"), rows)


def oci_errors() -> str:
    """Subclasses of OciError: a value that can't be what it must be. The statuses are those of v2.errors.render."""
    classes = error_classes()
    rows = []
    for name in _public(classes, "OciError"):
        code = attribute(classes, name, "code")
        rows.append((f"`{name}`", "416" if code == "RANGE_INVALID" else "400", f"`{code}`", classes[name].meaning))
    return _table(("error", "status", "code", "meaning"), rows)


def _public(classes: dict[str, ErrorClass], base: str) -> list[str]:
    """Private classes only share code: what they say is said by their children, or inside one module."""
    return sorted(name for name in classes if not name.startswith("_") and descends(classes, name, base))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _flowing(text: str) -> str:
    """A docstring's first paragraph on one line, in Markdown's marks."""
    return re.sub(r"\s+", " ", text.partition("\n\n")[0]).strip()


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "configuration.md": {"settings": settings_table, "keys": keys_table},
    "errors.md": {"domain errors": domain_errors, "oci errors": oci_errors},
}


def rendered(page: str) -> str:
    """The page as it should be. Raises ValueError when one of its blocks is missing."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for name, make in BLOCKS[page].items():
        begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise ValueError(f"docs/{page} has no block between {begin.strip()} and {end}")
        text = f"{before}{begin}{make()}\n{end}{after}"
    return text


def main(arguments: list[str]) -> int:
    """Write what differs, or with --check only say so."""
    is_check = "--check" in arguments
    outdated = 0
    for page in BLOCKS:
        path, text = ROOT / "docs" / page, rendered(page)
        if path.read_text(encoding="utf-8") == text:
            continue
        outdated += 1
        print(f"docs/{page} {'is out of date: run python docs/generate.py' if is_check else 'written'}")
        if not is_check:
            path.write_text(text, encoding="utf-8")
    return 1 if is_check and outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
