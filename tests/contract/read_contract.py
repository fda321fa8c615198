"""Reads the facts out of Harbor's API description and writes facts.toml: names, types and statuses, no texts.

    python -m tests.contract.read_contract ../shared/harbor-api-v2.0.yaml

Only for when Harbor's contract changes; tests read facts.toml and need no description.

    parameters   "query page int64", with a trailing ! when it is required
    answers      success status = type of the body, "" without one
    errors       the declared error statuses
    types        field = type; ? at the end: may be null

Types: string, date-time, int64, integer, number, boolean, any, file, the name of a table below [types], [X] for a
list of X and {X} for a map of strings to X.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from tests.contract.facts import FACTS

METHODS = ("get", "head", "post", "put", "patch", "delete")
Node = dict[str, Any]


def type_name(schema: Node | None) -> str:
    """A schema in the notation above. `required` and lengths are the request's business and not kept."""
    if not schema:
        return ""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    kind = schema.get("type", "object")
    if kind == "array":
        return f"[{type_name(schema.get('items')) or 'any'}]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{{{type_name(schema['additionalProperties']) or 'any'}}}"
    if kind == "string" and schema.get("format") == "date-time":
        return "date-time"
    if kind == "integer" and schema.get("format") == "int64":
        return "int64"
    return "any" if kind == "object" else str(kind)  # Go's server puts whatever it likes into an object without fields


def field_type(schema: Node) -> str:
    """As type_name, and whether it may be null."""
    nullable = schema.get("x-nullable") or schema.get("x-isnullable")
    return type_name(schema) + ("?" if nullable else "")


def parameter(description: Node, parameters: Node) -> str:
    """One parameter on a line."""
    if "$ref" in description:
        description = parameters[description["$ref"].rpartition("/")[2]]
    kind = type_name(description.get("schema", description))
    return f"{description['in']} {description['name']} {kind}" + ("!" if description.get("required") else "")


def without_aliases(node: Any, definitions: Node) -> Any:
    """The same, with references to definitions that are no objects (names of strings) put in place."""
    if isinstance(node, list):
        return [without_aliases(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    named = definitions.get(str(node.get("$ref", "")).rpartition("/")[2], {})
    if named.get("type", "object") != "object":
        return named
    return {name: without_aliases(each, definitions) for name, each in node.items()}


def operation_lines(method: str, path: str, operation: Node, contract: Node) -> list[str]:
    """The table of one operation."""
    answers, errors = {}, []
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            reference = response.get("$ref", "").rpartition("/")[2]
            answers[status] = type_name((contract["responses"][reference] if reference else response).get("schema"))
        else:
            errors.append(int(status))
    parameters = [parameter(each, contract["parameters"]) for each in operation.get("parameters", [])]
    shown = ", ".join(f'{status} = "{kind}"' for status, kind in sorted(answers.items()))
    return [
        f"[operations.{operation['operationId']}]",
        f'call = "{method.upper()} {path}"',
        f'tag = "{operation["tags"][0]}"',
        f"parameters = [{', '.join(f'{chr(34)}{line}{chr(34)}' for line in parameters)}]",
        f"answers = {{ {shown} }}",
        f"errors = {sorted(errors)}",
        "",
    ]


def type_lines(name: str, definition: Node) -> list[str]:
    """The table of one definition; `*` names the type of all other fields."""
    fields = {field: field_type(schema) for field, schema in definition.get("properties", {}).items()}
    if rest := definition.get("additionalProperties"):
        fields["*"] = type_name(rest) if isinstance(rest, dict) else "any"
    return [f"[types.{name}]", *(f'"{field}" = "{kind}"' for field, kind in fields.items()), ""]


def main(source: str) -> None:
    """Write facts.toml."""
    contract = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    contract = without_aliases(contract, contract["definitions"])
    lines = ["# Written by read_contract.py; see there.", ""]
    for path, operations in contract["paths"].items():
        for method in METHODS:
            if method in operations:
                lines += operation_lines(method, path, operations[method], contract)
    for name, definition in sorted(contract["definitions"].items()):
        if definition.get("type", "object") == "object":
            lines += type_lines(name, definition)
    FACTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
