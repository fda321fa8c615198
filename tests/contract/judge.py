"""From an answer of Haven to what is wrong with it by Harbor's contract."""

import json
import re
from typing import Any

from django.http import HttpResponse

from tests.contract.facts import BASE, Operation, differences, operation_of

_RELATIVE = re.compile(r"/api/v2\.0/\S+")


def parsed(response: HttpResponse) -> Any:
    """JSON where the answer says it is, else text; streamed answers are left alone."""
    if getattr(response, "streaming", False):
        return "streamed"
    text = response.content.decode(errors="replace")
    if text and response.get("Content-Type", "").startswith("application/json"):
        return json.loads(text)
    return text


def judged(operation: Operation, response: HttpResponse) -> list[str]:
    """Body, status and the headers clients of Harbor read. Empty is good."""
    body = parsed(response)
    if operation.answers.get(response.status_code) == "string" and not getattr(response, "streaming", False):
        body = response.content.decode(errors="replace")  # of any format, and not the contract's to know
    wrong = differences(operation, response.status_code, response.get("Content-Type", ""), body)
    if not response.get("X-Request-ID"):
        wrong.append("no X-Request-ID")
    location = response.get("Location")
    if location is not None and not _RELATIVE.fullmatch(location):
        wrong.append(f"Location {location} is no path below {BASE}")
    is_paged = any(each.startswith("query page ") for each in operation.parameters)
    is_list = response.status_code == 200 and isinstance(parsed(response), list)  # getArtifact has pages without a list
    if is_paged and is_list and not response.get("X-Total-Count", "").isdigit():
        wrong.append("a list without X-Total-Count")
    return wrong


def assert_contract(method: str, path: str, response: HttpResponse) -> None:
    """Fails when the answer is not one of the contract's. `path` is below /api/v2.0; Haven's own paths pass."""
    operation = operation_of(method.upper(), path)
    if operation is None or response.status_code == 405:
        return
    wrong = judged(operation, response)
    assert not wrong, f"{method} {path} ({operation.id}), {response.status_code}: " + "; ".join(wrong)
