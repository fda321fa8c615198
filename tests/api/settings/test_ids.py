"""Numbers that can be no row's id."""

import pytest

from tests.api.settings.support import Call, assert_error


@pytest.mark.parametrize("path", ["/quotas/", "/labels/"])
@pytest.mark.parametrize("number", ["9" * 18, "9" * 19, str(2**63), "9" * 30])
def test_an_id_that_no_row_has_is_not_found(api: Call, users: dict[str, int], path: str, number: str) -> None:
    assert_error(api("GET", path + number, user="root"), 404, "NOT_FOUND")
