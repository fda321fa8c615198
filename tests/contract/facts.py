"""Harbor's contract as tests use it: the operations, and whether an answer is one that a client of Harbor understands."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FACTS = FOLDER / "facts.toml"
EXTENSIONS = FOLDER / "extensions.toml"
BASE = "/api/v2.0"
# What Harbor's server may answer to every call, declared or not (routing, validation, authentication, limits).
ANY_OPERATION = frozenset({400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 503})
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Operation:
    """One of Harbor's operations. answers: success status to body type; parameters: `in name type`, ! for required."""

    id: str
    method: str
    path: str
    tag: str
    parameters: tuple[str, ...]
    answers: Mapping[int, str]
    errors: frozenset[int]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Of the concrete paths, below BASE."""
        parts = _PARAMETER.split(self.path.rstrip("/"))  # Go's router cleans paths
        return re.compile("".join("[^/?]+" if number % 2 else re.escape(part) for number, part in enumerate(parts)))


@cache
def operations() -> Mapping[str, Operation]:
    """By operationId, in the contract's order."""
    found = {}
    more = tomllib.loads(EXTENSIONS.read_text(encoding="utf-8"))["errors"]
    for name, fact in _document()["operations"].items():
        method, _, path = fact["call"].partition(" ")
        answers = {int(status): kind for status, kind in fact["answers"].items()}
        found[name] = Operation(
            name,
            method,
            path,
            fact["tag"],
            tuple(fact["parameters"]),
            answers,
            frozenset([*fact["errors"], *more.get(name, [])]),
        )
    return found


def operation_of(method: str, path: str) -> Operation | None:
    """Which operation a request below BASE is; of two that fit, the one with fewer parameters."""
    bare = path.partition("?")[0].rstrip("/")
    fitting = [each for each in operations().values() if each.method == method and each.pattern.fullmatch(bare)]
    return min(fitting, key=lambda each: each.path.count("{"), default=None)


def differences(operation: Operation, status: int, content_type: str, body: Any) -> list[str]:
    """What a client of Harbor would stumble over; empty is good. body: parsed JSON, or text."""
    if status in operation.answers:
        return list(_body_differences(operation.answers[status], content_type, body))
    if status not in operation.errors | ANY_OPERATION | set(_extensions("errors").get(operation.id, ())):
        return [
            f"{operation.id} has no status {status}: {sorted(operation.answers)}, errors {sorted(operation.errors)}"
        ]
    return list(_compare("Errors", body, "body")) if operation.method != "HEAD" else []


def _body_differences(kind: str, content_type: str, body: Any) -> Iterator[str]:
    if kind == "":
        if body not in ("", b"", None):
            yield f"a body where none is declared: {str(body)[:80]}"
    elif content_type.startswith("application/json"):
        yield from _compare(kind, body, "body")
    elif kind not in ("string", "file"):
        yield f"{content_type or 'nothing'} instead of JSON"


def _compare(kind: str, value: Any, where: str) -> Iterator[str]:
    if kind.endswith("?"):
        if value is not None:
            yield from _compare(kind[:-1], value, where)
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{where}: {value!r:.80} is no list"
        else:
            for number, item in enumerate(value):
                yield from _compare(kind[1:-1], item, f"{where}[{number}]")
    elif kind.startswith("{"):
        yield from _compare_fields({"*": kind[1:-1]}, value, where)
    elif kind in _document()["types"]:
        yield from _compare_fields(_document()["types"][kind] | _extensions("types").get(kind, {}), value, where)
    elif not _is(kind, value):
        yield f"{where}: {value!r:.80} is no {kind}"


def _compare_fields(fields: Mapping[str, str], value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r:.80} is no object"
        return
    for name, item in value.items():
        kind = fields.get(name, fields.get("*", ""))
        if kind:
            yield from _compare(kind, item, f"{where}.{name}")
        elif fields:
            yield f"{where}.{name} is no field of the contract; if Haven means it, say so in {EXTENSIONS.name}"


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "date-time":
            return isinstance(value, str) and _is_moment(value)
        case "int64" | "integer":
            return type(value) is int and -(2**63) <= value < 2**63
        case "number":
            return type(value) in (int, float)
        case "boolean":
            return type(value) is bool
    return kind == "any"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


@cache
def _document() -> Any:
    return tomllib.loads(FACTS.read_text(encoding="utf-8"))


@cache
def _extensions(table: str) -> Any:
    return tomllib.loads(EXTENSIONS.read_text(encoding="utf-8")).get(table, {})
