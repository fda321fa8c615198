"""The fixtures of the REST API's tests."""

from tests.api.conftest import api, fresh_process, projects, users  # noqa: F401  # pytest finds them by their names here
