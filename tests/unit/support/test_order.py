"""The lists of slow and long files name what is there."""

from pathlib import Path

import pytest

from tests.support.order import LONGEST, SLOW

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted({*LONGEST, *SLOW}))
def test_every_name_is_a_file_or_folder(name: str) -> None:
    assert (TESTS / name).exists()
