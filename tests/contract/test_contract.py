"""Haven's answers against the facts of Harbor's contract, operation by operation."""

import pytest

from tests.contract.facts import differences, operation_of, operations
from tests.contract.judge import judged
from tests.contract.world import World, all_examples

EXAMPLES = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name, functions in all_examples().items()
    for number in range(len(functions))
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation_id", "number"), EXAMPLES)
def test_an_example_succeeds_as_the_contract_says(operation_id: str, number: int, api, users, projects) -> None:
    operation = operations()[operation_id]
    response = all_examples()[operation_id][number](World(api, users, projects))
    assert response.status_code in operation.answers, response.content
    assert judged(operation, response) == []
    if response.status_code == 201:
        assert response.get("Location") or operation_id == "createTag"


def test_the_facts_are_whole() -> None:
    assert len(operations()) == 203
    assert len({(each.method, each.path) for each in operations().values()}) == 203
    for each in operations().values():
        assert operation_of(each.method, each.path) is each
        assert each.answers


@pytest.mark.parametrize(
    ("operation_id", "status", "body", "wrong"),
    [
        ("getProject", 200, {"name": "a", "repo_count": 1}, ""),
        ("getProject", 200, {"name": 1}, "body.name: 1 is no string"),
        ("getProject", 200, {"name": None}, "body.name: None is no string"),
        ("getProject", 200, {"repo_count": True}, "body.repo_count: True is no integer"),
        ("getProject", 200, {"creation_time": "2026-01-01"}, "body.creation_time: '2026-01-01' is no date-time"),
        ("getProject", 200, {"metadata": {"severity": None}}, ""),
        ("getProject", 200, {"secret": "x"}, "body.secret is no field of the contract"),
        ("getProject", 200, [], "body: [] is no object"),
        ("getProject", 200, "x", "body: 'x' is no object"),
        ("getProject", 204, "", "getProject has no status 204"),
        ("getProject", 404, {"errors": [{"code": "NOT_FOUND", "message": "no"}]}, ""),
        ("getProject", 404, {"detail": "no"}, "body.detail is no field of the contract"),
        ("getProject", 409, {"errors": []}, "getProject has no status 409"),
        ("listProjects", 200, [{"name": "a"}, {"name": 2}], "body[1].name: 2 is no string"),
        ("deleteProject", 200, {}, "a body where none is declared"),
        ("getSystemInfo", 200, {"has_ca_root": None, "current_time": "2026-01-01T00:00:00.000Z"}, ""),
    ],
)
def test_the_judge_sees_what_is_wrong(operation_id: str, status: int, body: object, wrong: str) -> None:
    found = differences(operations()[operation_id], status, "application/json", body)
    assert (found == []) if not wrong else found[0].startswith(wrong)
