"""The list of projects: who sees what, in a bounded number of statements."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from haven_core.accounts.services import create_user
from haven_core.projects.services import create_project

pytestmark = pytest.mark.django_db(transaction=True)


def test_nobody_sees_public_projects_only() -> None:
    owner = create_user(username="owner", password="Correct1horse")
    create_project(name="hidden", owner_id=owner)
    for number in range(30):
        create_project(name=f"open{number:02}", owner_id=owner, is_public=True)
    with CaptureQueriesContext(connection) as queries:
        answer = Client(headers={"accept-language": "en"}).get("/projects/")
    text = answer.content.decode()
    assert "open00" in text
    assert "hidden" not in text
    assert 'href="?page=2"' in text
    assert len(queries) <= 12
    assert len(answer.content) <= 15_000
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert "open29" in Client().get("/projects/?page=2").content.decode()


def test_empty_list_in_chinese() -> None:
    answer = Client(headers={"accept-language": "zh-Hans"}).get("/projects/?page=-x")
    assert "没有可见的项目" in answer.content.decode()
