"""docs/harbor-compatibility.md says what the URLs and the tests say."""

from tests.contract.compatibility import PAGE, decided, rendered, states
from tests.contract.facts import operations
from tests.contract.routes import answered, own_paths


def test_the_page_is_up_to_date() -> None:
    is_text = PAGE.read_text(encoding="utf-8")
    assert is_text == rendered(), "run python -m tests.contract.compatibility"


def test_every_operation_is_in_it_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for each in operations().values():
        assert page.count(f"| {each.method} {each.path} | {each.id} |") == 1


def test_what_answers_is_shown_by_a_test() -> None:
    """Call the operation in tests/api with its method and path written out, or give it an example."""
    untested = [name for name, (state, _) in states().items() if state == "untested"]
    assert untested == []


def test_what_is_decided_against_does_not_answer() -> None:
    assert [name for name in decided()["different"] if name in answered()] == []


def test_the_routes_are_those_the_urls_have() -> None:
    assert {"getPing", "listProjects", "headProject", "createProject", "getProject", "deleteProject"} <= answered()
    assert not {"getInternalconfig", "updateRegistry"} & answered()
    assert all(own.meaning for own in own_paths())
