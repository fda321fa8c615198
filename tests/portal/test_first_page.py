"""The first page and its assets: both languages, the policy, the budget; no SQL at all."""

import pytest
from django.test import Client


@pytest.mark.parametrize(("language", "words"), [("en", "Push an image"), ("zh-Hans", "推送镜像")])
def test_page_speaks_the_browsers_language(language: str, words: str) -> None:
    answer = Client(headers={"accept-language": language}).get("/")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert f'<html lang="{language}"' in text
    assert words in text
    assert len(answer.content) <= 15_000


def test_page_runs_only_what_haven_serves() -> None:
    answer = Client().get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    text = answer.content.decode()
    assert " style=" not in text
    assert "<style" not in text
    assert "<script>" not in text


def test_host_is_text() -> None:
    answer = Client().get("/", headers={"host": "<script>alert(1)</script>"})
    assert b"<script>alert" not in answer.content


@pytest.mark.parametrize(("path", "kind"), [("/static/haven.css", "text/css"), ("/static/theme.js", "text/javascript")])
def test_assets(path: str, kind: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith(kind)
    assert b"".join(answer.streaming_content)
