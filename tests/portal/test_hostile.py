"""Whatever a push can carry is shown as text: in no field does it become an element, an attribute or an address."""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from tests.portal.conftest import Browser
from tests.portal.pushed import REPOSITORY
from tests.support.documents import descriptor, digest_of, image, index
from tests.support.site import Site

pytestmark = pytest.mark.usefixtures("transactional_db")
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
CORPUS = (
    '<script>alert("PWN")</script>',
    '"><img src=x onerror=alert("PWN")>',
    "'><svg/onload=alert('PWN')>",
    "</pre></textarea></title></style><script>alert('PWN')</script>",
    "javascript:alert('PWN')",
    "{{ PWN }}{% PWN %}",
    "\" autofocus onfocus=\"alert('PWN')",
    "<!--<PWN>-->",
    "\u2028<PWN>\u202e\0\ud7ff",
    "<a href='//PWN'>PWN</a>",
)
_ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "data-copies-from")


class Judge(HTMLParser):
    """Reads a page as a browser does, and collects what no page of ours says."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        ours = (values.get("src") or "").startswith("/static/")
        if tag in ("iframe", "object", "embed", "base", "style", "pwn") or (tag in ("script", "img") and not ours):
            self.found.append(self.get_starttag_text() or tag)
        for name, value in attrs:
            leads_away = name in _ADDRESSES and not re.match(r"(/(?!/)|[?#]|$)", value or "")
            if name.startswith("on") or name == "style" or leads_away or "pwn" in name:
                self.found.append(self.get_starttag_text() or name)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)


def is_harmless(page: str) -> list[str]:
    """What a browser would take for more than text."""
    judge = Judge()
    judge.feed(page)
    return judge.found


def test_the_judge_knows_an_attack() -> None:
    for text in CORPUS[:4]:
        assert is_harmless(f"<p>{text}</p>"), text
    assert is_harmless('<a href="javascript:1">x</a>')
    assert is_harmless('<input value="" autofocus onfocus="alert(1)">')


@pytest.mark.parametrize("text", CORPUS)
def test_every_field_of_an_image(signed_in: Callable[..., Browser], site: Site, text: str) -> None:
    config = {
        "architecture": text, "os": text, "variant": text, "author": text, "created": text,
        "config": {
            "Env": [f"{text}={text}", text], "Cmd": [text], "Entrypoint": [text, {"a": text}], "User": text,
            "WorkingDir": text, "Labels": {text: text, "x": [text]}, "ExposedPorts": {text: {}}, "Volumes": {text: text},
            "StopSignal": text,
        },
        "history": [{"created_by": text, "comment": text, "author": text}, {"created_by": f"RUN {text}", "empty_layer": True}],
    }  # fmt: skip
    blob = site.upload(json.dumps(config).encode())
    payload = image(blob, site.upload(b"layer"), annotations={text.replace("\0", ""): text, "y": text})
    site.put(payload, "v1")
    plain = image(site.upload(b"{}"), nonce="plain")
    site.put(plain, "v0")
    _check(signed_in("owner"), text)


@pytest.mark.parametrize("text", CORPUS[:5])
def test_every_field_of_a_chart(signed_in: Callable[..., Browser], site: Site, text: str) -> None:
    files = {"README.md": text, "values.yaml": text}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"chart/{name}")
            entry.size = len(content.encode("utf-8", "replace"))
            archive.addfile(entry, io.BytesIO(content.encode("utf-8", "replace")))
    chart = site.upload(gzip.compress(buffer.getvalue()))
    config = site.upload(
        json.dumps(
            {"name": text, "version": text, "appVersion": text, "description": text,
             "dependencies": [{"name": text, "version": text, "repository": text}, text]}
        ).encode()
    )  # fmt: skip
    body = json.loads(image(config))
    body["config"] = descriptor(HELM_CONFIG, config, 1)
    body["layers"] = [descriptor(HELM_CHART, chart, 1)]
    site.put(json.dumps(body).encode(), "v1")
    site.put(image(site.upload(b"{}"), nonce="plain"), "v0")
    browser = signed_in("owner")
    _check(browser, text)
    assert is_harmless(browser.text(f"{REPOSITORY}a/v1/values")) == []


def test_types_and_titles(signed_in: Callable[..., Browser], site: Site) -> None:
    body = json.loads(image(site.upload(b"{}"), site.upload(b"l")))
    body["artifactType"] = 'application/vnd.a.<b>"x".config.v1'
    body["layers"][0]["mediaType"] = '"><script>'
    try:
        site.put(json.dumps(body).encode(), "v1")
    except Exception:  # refused is as good
        return
    site.put(image(site.upload(b"{}"), nonce="plain"), "v0")
    _check(signed_in("owner"), body["artifactType"])


@pytest.mark.parametrize("text", CORPUS[:5])
def test_every_field_of_an_index(signed_in: Callable[..., Browser], site: Site, text: str) -> None:
    """And of what is attached to it."""
    child = image(site.upload(json.dumps({"os": text}).encode()), site.upload(b"layer"), annotations={text: text})
    digest = site.put(child).digest
    platform = {"os": text, "architecture": text, "variant": text, "os.version": text}
    body = json.loads(index(digest))
    body["manifests"][0] |= {"platform": platform, "annotations": {text: text}, "artifactType": "a/b"}
    body["annotations"] = {text: text}
    payload = json.dumps(body).encode()
    site.put(payload, "v1")
    media_type = "application/vnd.oci.image.index.v1+json"
    subject = descriptor(media_type, digest_of(payload), len(payload))
    site.put(image(site.upload(b"{}"), subject=subject, artifactType="a/b", annotations={text: text, "x": text}))
    site.put(image(site.upload(b"{}"), nonce="plain"), "v0")
    _check(signed_in("owner"), text)


@pytest.mark.parametrize("text", CORPUS[:5])
def test_every_field_of_a_model(signed_in: Callable[..., Browser], site: Site, text: str) -> None:
    config = {
        "descriptor": {
            "name": text,
            "version": text,
            "authors": [text],
            "title": text,
            "description": text,
            "family": text,
        },
        "config": {"architecture": text, "format": text, "paramSize": text, "precision": text, "quantization": text},
        "modelfs": {"type": "layers", "diffIds": [text]},
    }
    body = json.loads(image(site.upload(json.dumps(config).encode()), site.upload(text.encode("utf-8", "replace"))))
    body["artifactType"] = "application/vnd.cnai.model.manifest.v1+json"
    body["config"]["mediaType"] = "application/vnd.cnai.model.config.v1+json"
    body["layers"][0] |= {
        "mediaType": "application/vnd.cnai.model.doc.v1.raw",
        "annotations": {"org.cnai.model.filepath": text, "org.opencontainers.image.title": text},
    }
    site.put(json.dumps(body).encode(), "v1")
    site.put(image(site.upload(b"{}"), nonce="plain"), "v0")
    _check(signed_in("owner"), text)


@pytest.mark.parametrize("text", CORPUS)
def test_what_people_type(signed_in: Callable[..., Browser], site: Site, text: str) -> None:
    site.push(b"{}", "v1")
    browser = signed_in("owner")
    assert browser.post(f"{REPOSITORY}about", description=text).status_code == 303
    pages = ["/projects/private/", REPOSITORY, f"{REPOSITORY}about"]
    for path in pages:
        assert is_harmless(browser.text(path)) == [], path
    for path, key in (("/search", "q"), (REPOSITORY, "q"), ("/projects/private/", "q"), (f"{REPOSITORY}compare", "a"),
                      (f"{REPOSITORY}history", "tag"), (f"{REPOSITORY}tag", "name"), (f"{REPOSITORY}delete-tags", "digest"),
                      ("/projects/private/trash", "repository")):  # fmt: skip
        answer = browser.client.get(path, {key: text, "b": text})
        assert answer.status_code == 200, path
        assert is_harmless(answer.content.decode()) == [], path
    form = browser.post(f"{REPOSITORY}tag", name=text, to=text)
    assert form.status_code == 422
    assert is_harmless(form.content.decode()) == []


def _check(browser: Browser, text: str) -> None:
    artifact = f"{REPOSITORY}a/v1/"
    for path in ("/projects/private/", REPOSITORY, artifact, f"{artifact}layers", f"{artifact}manifest",
                 f"{artifact}used-by", f"{artifact}referrers", f"{artifact}copy", f"{REPOSITORY}compare?a=v0&b=v1",
                 f"{REPOSITORY}delete-tags?tag=v1", "/search?q=v1"):  # fmt: skip
        assert is_harmless(browser.text(path)) == [], (path, text)
