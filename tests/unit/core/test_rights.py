"""What covers what: the rule for robots that make robots."""

from hypothesis import given
from hypothesis import strategies as st

from haven_core.domain.rights import Rights, with_implied_pull
from haven_core.robots import permissions

PULL, PUSH, LOG = ("repository", "pull"), ("repository", "push"), ("log", "list")
some = st.frozensets(st.sampled_from([PULL, PUSH, LOG]))
rights = st.builds(Rights, system=some, everywhere=some, projects=st.dictionaries(st.integers(1, 3), some))


@given(rights, rights)
def test_cover_means_that_nothing_is_allowed_beyond(mine: Rights, asked: Rights) -> None:
    projects = range(1, 5)  # 4 is named nowhere: it stands for those that will be made
    beyond = [
        permission
        for permission in (PULL, PUSH, LOG)
        if (asked.on_system(*permission) and not mine.on_system(*permission))
        or any(asked.in_project(one, *permission) and not mine.in_project(one, *permission) for one in projects)
    ]
    assert mine.cover(asked) == (not beyond)


@given(rights)
def test_everybody_covers_themselves_and_nothing_covers_nothing(mine: Rights) -> None:
    assert mine.cover(mine)
    assert mine.cover(Rights())


def test_push_implies_pull() -> None:
    assert with_implied_pull([PUSH, LOG]) == {PUSH, PULL, LOG}
    assert with_implied_pull([LOG]) == {LOG}


def test_the_lists_are_harbors() -> None:
    assert (len(permissions.SYSTEM), len(set(permissions.SYSTEM))) == (70, 70)
    assert (len(permissions.PROJECT), len(set(permissions.PROJECT))) == (70, 70)
    assert permissions.is_grantable("project", PUSH)
    assert not permissions.is_grantable("system", PUSH)
    assert not permissions.is_grantable("", PUSH)
