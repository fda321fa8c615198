"""What readers remember, and for how long."""

import pytest

from haven_core import visibility
from haven_registry.v2 import remembered
from haven_registry.v2.remembered import MAX_TOGETHER, Memory, Name


class Asked:
    """A registry of names whose look-ups are written down."""

    def __init__(self, **found: str) -> None:
        self.found = {name_of(key): value for key, value in found.items()}
        self.statements: list[list[Name]] = []

    def one(self, name: Name) -> str | None:
        self.statements.append([name])
        return self.found.get(name)

    def many(self, names: list[Name]) -> list[str | None]:
        self.statements.append(list(names))
        return [self.found.get(name) for name in names]

    @property
    def memory(self) -> Memory[str]:
        return Memory(self.one, self.many)


def name_of(tag: str) -> Name:
    return ("first", "app", tag)


class Time:
    now = 1000.0
    mark = b"one"
    is_postgresql = True


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(remembered, "now", lambda: time.now)
    monkeypatch.setattr(remembered, "mark", lambda: time.mark)
    monkeypatch.setattr(remembered, "is_postgresql", lambda: time.is_postgresql)
    return time


def test_what_was_found_is_asked_once_in_a_memory(time: Time):
    asked = Asked(a="A")
    memory = asked.memory
    for _ in range(5):
        assert memory.find(name_of("a")) == "A"
        time.now += visibility.MEMORY_SECONDS / 5.1
    assert len(asked.statements) == 1
    time.now += visibility.MEMORY_SECONDS / 5
    del asked.found[name_of("a")]
    assert memory.find(name_of("a")) is None
    assert len(asked.statements) == 2


def test_the_memory_begins_when_the_question_is_sent_not_when_it_is_answered(time: Time):
    asked = Asked(a="A")
    slow = asked.one

    def one(name: Name) -> str | None:
        time.now += visibility.MEMORY_SECONDS  # the database took that long
        return slow(name)

    memory = Memory(one, asked.many)
    assert memory.find(name_of("a")) == "A"
    del asked.found[name_of("a")]
    assert memory.find(name_of("a")) is None


def test_what_is_expected_comes_with_the_first_of_it(time: Time):
    asked = Asked(a="A", b="B", c="C")
    memory = asked.memory
    memory.expect([name_of("a"), name_of("b"), name_of("gone")])
    assert [memory.find(name_of(tag)) for tag in "abc"] == ["A", "B", "C"]
    assert asked.statements == [[name_of(tag) for tag in ("a", "b", "gone")], [name_of("c")]]
    memory.expect([name_of("a")])
    time.now += visibility.MEMORY_SECONDS / 4
    assert [memory.find(name_of("gone")), memory.find(name_of("a"))] == [None, "A"]
    assert asked.statements[2:] == [[name_of("gone")]]


def test_no_more_is_expected_than_goes_into_a_statement(time: Time):
    asked = Asked(a="A")
    memory = asked.memory
    for _ in range(3):
        memory.expect(name_of(f"x{number}") for number in range(MAX_TOGETHER))
    assert memory.find(name_of("a")) == "A"
    assert memory.find(name_of("a")) == "A"
    assert [len(statement) for statement in asked.statements] == [MAX_TOGETHER + 1]


def test_what_is_missing_is_asked_for_every_time(time: Time):
    asked = Asked()
    memory = asked.memory
    assert memory.find(name_of("a")) is None
    asked.found[name_of("a")] = "A"
    assert memory.find(name_of("a")) == "A"


def test_names_in_demand_are_renewed_in_one_statement(time: Time):
    asked = Asked(**{f"t{number}": str(number) for number in range(10)})
    memory = asked.memory
    for number in range(10):
        memory.find(name_of(f"t{number}"))
    asked.statements.clear()
    time.now += visibility.MEMORY_SECONDS * 0.75
    for number in range(10):
        memory.find(name_of(f"t{number}"))
    assert asked.statements == []
    time.now += visibility.MEMORY_SECONDS * 0.5
    del asked.found[name_of("t3")]
    for number in range(10):
        assert memory.find(name_of(f"t{number}")) == (None if number == 3 else str(number))
    assert [len(names) for names in asked.statements] == [10, 1], "all together, and the missing one again"


def test_a_name_nobody_asks_for_any_more_is_not_renewed(time: Time):
    asked = Asked(a="A", b="B")
    memory = asked.memory
    memory.find(name_of("a"))
    time.now += visibility.MEMORY_SECONDS * 2
    memory.find(name_of("b"))
    assert asked.statements == [[name_of("a")], [name_of("b")]]


def test_no_statement_grows_without_bound(time: Time):
    asked = Asked(**{f"t{number}": str(number) for number in range(3 * MAX_TOGETHER)})
    memory = asked.memory
    for name in list(asked.found):
        memory.find(name)
    time.now += visibility.MEMORY_SECONDS * 0.75
    for name in list(asked.found):
        memory.find(name)
    asked.statements.clear()
    time.now += visibility.MEMORY_SECONDS
    for name in list(asked.found):
        memory.find(name)
    assert max(len(names) for names in asked.statements) == MAX_TOGETHER + 1


def test_nothing_is_believed_under_another_mark(time: Time):
    asked = Asked(a="A")
    memory = asked.memory
    assert memory.find(name_of("a")) == "A"
    asked.found[name_of("a")] = "B"
    time.mark = b"two"
    assert memory.find(name_of("a")) == "B"


def test_what_is_found_while_the_mark_changes_is_not_believed_again(time: Time):
    asked = Asked(a="A")
    look_up = asked.one

    def one(name: Name) -> str | None:
        found = look_up(name)
        asked.found[name] = "B"  # a move commits behind the look-up, and is answered
        time.mark += b"!"
        return found

    memory = Memory(one, asked.many)
    assert memory.find(name_of("a")) == "A"
    assert memory.find(name_of("a")) == "B"


def test_sqlite_is_asked_for_one_at_a_time(time: Time):
    time.is_postgresql = False
    asked = Asked(a="A", b="B")
    memory = asked.memory
    for _ in range(4):
        memory.find(name_of("a"))
        memory.find(name_of("b"))
        time.now += visibility.MEMORY_SECONDS * 0.6
    assert {len(names) for names in asked.statements} == {1}


def test_who_takes_away_waits_longer_than_anybody_remembers():
    assert visibility.WAIT_SECONDS > visibility.MEMORY_SECONDS
