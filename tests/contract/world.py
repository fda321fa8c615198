"""What an example calls Haven with, and the register of examples.

An example shows one operation answering as it does when all is well. Its module in examples/ says:

    @example("getProject")
    def one(world: World) -> HttpResponse:
        return world.call("getProject", project_name_or_id="private", user="owner")

and the contract test calls it and judges the answer: success, status, fields, types, headers. A new module in examples/ is
found by itself.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpResponse

from tests.contract import examples as package
from tests.contract.facts import operations


@dataclass(frozen=True)
class World:
    """Accounts root (administrator), owner, guest, stranger by id; projects private and public of owner, guest in private.

    api: the fixture of that name, `api("GET", "/projects", user="owner")`.
    """

    api: Callable[..., HttpResponse]
    users: Mapping[str, int]
    projects: Mapping[str, int]

    def call(
        self,
        operation_id: str,
        body: Any = None,
        *,
        user: str = "",
        query: Mapping[str, Any] | None = None,
        **path: Any,
    ) -> HttpResponse:
        """The operation's method and path; `path` fills the parameters in it, encoded as Harbor's clients do."""
        operation = operations()[operation_id]
        values = {
            name: quote(quote(value, safe=""), safe="") if name == "repository_name" else quote(str(value), safe="")
            for name, value in path.items()
        }
        target = operation.path.format(**values) + (f"?{urlencode(query)}" if query else "")
        return self.api(operation.method, target, body, user=user)

    def create(self, operation_id: str, body: Any = None, *, user: str = "root", **path: Any) -> str:
        """Call a create; the last part of its Location, which is the id as clients read it."""
        response = self.call(operation_id, body, user=user, **path)
        assert response.status_code == 201, response.content
        return str(response["Location"].rpartition("/")[2])


Example = Callable[[World], HttpResponse]
_register: dict[str, list[Example]] = {}


def example(operation_id: str) -> Callable[[Example], Example]:
    """Registers the function as an example of the operation."""
    assert operation_id in operations(), f"Harbor has no operation {operation_id}"

    def register(function: Example) -> Example:
        _register.setdefault(operation_id, []).append(function)
        return function

    return register


def all_examples() -> Mapping[str, list[Example]]:
    """By operationId, of every module in examples/."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return _register
