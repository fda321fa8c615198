"""The short way to the two hottest reads says, byte for byte, what Django says, and leaves it everything unusual."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.utils import timezone

from haven_api.quick import quick_answer
from haven_core.cve.services import set_allowlist
from haven_core.models import Project
from haven_registry import store
from haven_registry.models import ArtifactDetail, Manifest, PullDaily
from haven_registry.services.details import explain
from tests.api.artifacts import CONFIG, push
from tests.api.conftest import PASSWORD
from tests.support.documents import digest_of, image
from tests.support.site import Site

APP = "/projects/private/repositories/team%2Fapp"  # as WSGI gives it, decoded once
Answer = tuple[dict[str, str], bytes]
_RAW = {"REMOTE_ADDR": "192.0.2.7", "SERVER_NAME": "x", "SERVER_PORT": "80", "HTTP_X_REQUEST_ID": "abc"}


def environ(path: str, user: str = "owner", password: str = PASSWORD, **more: str) -> dict[str, Any]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {
        **_RAW, "REQUEST_METHOD": "GET", "PATH_INFO": f"/api/v2.0{path}", "QUERY_STRING": "",
        "HTTP_AUTHORIZATION": f"Basic {pair}", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http", **more,
    }  # fmt: skip


@pytest.fixture
def django() -> Callable[[dict[str, Any]], Answer]:
    """What the whole application answers."""
    application = get_wsgi_application()

    def ask(asked: dict[str, Any]) -> Answer:
        said: list[Any] = []
        body = b"".join(application(asked, lambda *words: said.extend(words)))
        assert said[0] == "200 OK", body
        return {name.lower(): value for name, value in said[1]}, body

    return ask


def same(asked: dict[str, Any], django: Callable[[dict[str, Any]], Answer]) -> None:
    quick = quick_answer(asked)
    assert quick is not None
    assert ({name.lower(): value for name, value in quick[0]}, quick[1]) == django(asked)


@pytest.fixture
def digest(site: Site) -> str:
    """An explained image of private/team/app, with what JSON and HTML have to escape in it."""
    config = CONFIG | {"author": "\u2028<a>é\x7f \U0001f600", "history": [{"created_by": "RUN \\"}]}
    found = push(site, "v1", "v2", **config)
    explain(list(Manifest.objects.values_list("id", flat=True)), store.driver())
    now = timezone.now()
    PullDaily.objects.create(
        repository_id=site.repository, manifest_digest=found, tag_name="v1", day=now.date(), pulls=3, last_pulled_at=now
    )
    return found


@pytest.mark.parametrize("user", ["root", "owner", "guest"])
def test_the_same_answer(user: str, digest: str, projects: dict[str, int], django: Any) -> None:
    set_allowlist(project_id=projects["private"], items=["CVE-2024-1"], expires_at=4_000_000_000)
    same(environ("/projects/private", user), django)
    same(environ("/projects/public", user), django)
    same(environ(f"{APP}/artifacts/{digest}", user), django)


def test_a_stranger_sees_what_is_public(digest: str, django: Any) -> None:
    same(environ("/projects/public", "stranger"), django)
    assert quick_answer(environ("/projects/private", "stranger")) is None
    assert quick_answer(environ(f"{APP}/artifacts/{digest}", "stranger")) is None


def test_what_is_not_plain_is_left_to_django(digest: str, site: Site, projects: dict[str, int]) -> None:
    assert quick_answer(environ("/projects/private")) is not None
    for asked in (
        environ("/projects/private", password="wrong-Pass1"),
        environ("/projects/none"),
        environ(f"/projects/{projects['private']}"),
        environ("/projects/private/"),
        environ("/projects/private\n"),
        environ("/projects/private/summary"),
        environ("/projects/private", QUERY_STRING="x=1"),
        environ("/projects/private", REQUEST_METHOD="HEAD"),
        environ("/projects/private", HTTP_COOKIE="sid=1"),
        environ("/projects/private", HTTP_ACCEPT_LANGUAGE="zh"),
        environ("/projects/private", HTTP_X_IS_RESOURCE_NAME="true"),
        environ("/projects/private", HTTP_AUTHORIZATION="Bearer x"),
        environ(f"{APP}/artifacts/v1"),
        environ(f"{APP}/artifacts/{digest_of(b'no')}"),
        environ(f"/projects/private/repositories/app/artifacts/{digest}"),
        environ(f"{APP}/artifacts/{digest}", QUERY_STRING="with_label=true"),
    ):
        assert quick_answer(asked) is None, asked
    Project.objects.filter(id=projects["public"]).update(deleted_at="2020-01-01T00:00:00Z")
    assert quick_answer(environ("/projects/public")) is None


def test_accessories_and_what_nobody_looked_at_are_left_to_django(digest: str, site: Site) -> None:
    path = f"{APP}/artifacts/{digest}"
    details = list(ArtifactDetail.objects.all())
    ArtifactDetail.objects.all().delete()
    assert quick_answer(environ(path)) is None
    ArtifactDetail.objects.bulk_create(details)
    assert json.loads(quick_answer(environ(path))[1])["digest"] == digest  # type: ignore[index]
    side = site.put(image(site.upload(b"{}"), nonce="s"), digest.replace(":", "-") + ".sig").digest
    assert side != digest
    assert quick_answer(environ(path)) is None


def test_a_referrer_is_left_to_django(digest: str, site: Site) -> None:
    subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1}
    site.put(image(site.upload(b"{}"), nonce="r", subject=subject))
    assert quick_answer(environ(f"{APP}/artifacts/{digest}")) is None
