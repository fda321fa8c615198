"""A browser without a screen: Django's client, which signs in by the form as a person does."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from haven_core.accounts import csrf
from haven_core.domain.roles import Role
from haven_core.projects.models import ProjectMember
from haven_core.projects.services import create_project
from tests.api.conftest import PASSWORD, fresh_process, projects, site, users  # noqa: F401  # fixtures

MOST_QUERIES = 12


class Browser:
    """Keeps cookies, and sends forms as one does: url-encoded, with the token of the page."""

    def __init__(self, language: str = "en") -> None:
        self.client = Client(headers={"accept-language": language})

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.client.get(path, headers=headers)

    def text(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.content.decode()

    def post(self, path: str, **fields: object) -> HttpResponse:
        if csrf.COOKIE not in self.client.cookies:
            self.get("/sign-in")
        token = csrf.token_for(self.client.cookies[csrf.COOKIE].value)
        body = urlencode({csrf.FORM_FIELD: token, **fields}, doseq=True)
        return self.client.post(path, body, content_type="application/x-www-form-urlencoded")

    def sign_in(self, name: str, password: str = PASSWORD) -> HttpResponse:
        return self.post("/sign-in", username=name, password=password)

    def queries(self, path: str) -> int:
        """Number of SQL statements of a page that answers."""
        with CaptureQueriesContext(connection) as queries:
            self.text(path)
        return len(queries)


@pytest.fixture
def browser() -> Browser:
    """Of nobody."""
    return Browser()


@pytest.fixture
def signed_in(users: dict[str, int]) -> Callable[..., Browser]:  # noqa: F811
    """signed_in("root"): a browser of this user."""

    def sign_in(name: str, language: str = "en") -> Browser:
        browser = Browser(language)
        assert browser.sign_in(name).status_code == 303
        return browser

    return sign_in


@pytest.fixture
def team(users: dict[str, int]) -> dict[str, int]:  # noqa: F811
    """A private project `team` of owner, with `guest` as guest; returns users."""
    project_id = create_project(name="team", owner_id=users["owner"])
    ProjectMember.objects.create(project_id=project_id, user_id=users["guest"], role=Role.GUEST)
    return {**users, "team": project_id}
