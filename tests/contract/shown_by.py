"""Which test shows an operation: found in the source of the tests, where one calls it by method and path."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.contract.facts import operation_of, operations
from tests.contract.routes import METHODS
from tests.contract.world import all_examples

ROOT = Path(__file__).parents[2]
_WORD = re.compile(r"[a-z]+")
_STEM = 5  # letters of a tag: configure and test_configurations


@cache
def tests_of_operations() -> Mapping[str, str]:
    """operationId to `path::test`. Of several the one whose file and name say most of the operation, then the first.

    Where no test calls the path itself, or one that says nothing of it, the example that the contract test runs.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    folder = ROOT / "tests" / "api"
    for path in sorted(folder.rglob("test_*.py")):
        if "v2" not in path.relative_to(folder).parts:
            for operation_id, name in _calls(path):
                label = f"{path.relative_to(ROOT)}::{name}"
                found.setdefault(operation_id, []).append((-_likeness(operation_id, path.stem, name), label))
    shown = {name: f"tests/contract/test_contract.py::{name}" for name in all_examples()}
    best = {operation_id: min(tests, key=lambda test: test[0]) for operation_id, tests in found.items()}
    return {name: test for name, (_, test) in best.items()} | {
        name: test for name, test in shown.items() if not best.get(name, (0, ""))[0]
    }


def _calls(path: Path) -> Iterator[tuple[str, str]]:
    """(operationId, test) of every call with a method and a path written out."""
    for function in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and len(node.args) >= 2:
                method, target = (_text(argument) for argument in node.args[:2])
                operation = operation_of(method, target) if method in METHODS else None
                if operation is not None:
                    yield operation.id, function.name


def _text(node: ast.expr) -> str:
    """A text, or an f-string with 1 for what it fills in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    return ""


def _likeness(operation_id: str, file: str, test: str) -> int:
    """Words of the operation that the test's name has, as createProject and test_create; a file about what the contract
    puts the operation under counts more."""
    words = _WORD.findall(re.sub(r"(?=[A-Z])", " ", operation_id).lower())
    subject = operations()[operation_id].tag.lower()[:_STEM]
    return _STEM * (subject in file) + sum(word in test or word.rstrip("s") in test for word in words)
