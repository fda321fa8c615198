"""Grammar of names."""

import pytest

from haven_core.domain.names import is_project_name, is_username, split_repository


@pytest.mark.parametrize("name", ["a", "0", "library", "a.b_c-d", "a" * 255])
def test_project_names(name: str) -> None:
    assert is_project_name(name)


@pytest.mark.parametrize(
    "name", ["", "A", "a/b", "-a", "a-", "a..b", "a__b", "a--b", "a b", "a\n", "ä", "a" * 256, "../x", "a%2f", "٣"]
)
def test_what_is_no_project_name(name: str) -> None:
    assert not is_project_name(name)


@pytest.mark.parametrize("name", ["a", "Jörg", "me@example.com", "first last", "a" * 255])
def test_user_names(name: str) -> None:
    assert is_username(name)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a:b", "a,b", 'a"', "a~", "a#", "a%", "robot$a", "a\x00", "a\n", "a" * 256]
)
def test_what_is_no_user_name(name: str) -> None:
    assert not is_username(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p/r", ("p", "r")),
        ("p/a/b/c", ("p", "a/b/c")),
        ("p/a__b/c---d", ("p", "a__b/c---d")),
        ("p", None),
        ("p/", None),
        ("/r", None),
        ("p//r", None),
        ("p/../x", None),
        ("p/r\n", None),
        ("P/r", None),
        ("p%2fr", None),
        ("p__q/r", None),  # a component, but no project
        ("p/" + "r" * 254, None),
        ("localhost:5000/p/r", None),
    ],
)
def test_repository_names(name: str, expected: tuple[str, str] | None) -> None:
    assert split_repository(name) == expected
