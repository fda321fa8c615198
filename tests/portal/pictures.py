"""The pictures in docs/images: a Haven of its own with pushed images, photographed. Look at what comes out.

python -m tests.portal.pictures          needs chromium and skopeo, and the fonts Inter, JetBrains Mono and Noto CJK
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.portal.browser.conftest import PASSWORD, Site, sign_in
from tests.portal.browser.test_pushed import page_of, push
from tests.support.oci import OCI_CONFIG, Blob, Manifest, artifact, image, index, random_layer
from tests.support.stack import ADMIN, ROOT, running_haven
from tests.support.tools import find_tool

FOLDER = ROOT / "docs" / "images"
_MIB = 1024 * 1024
_BASE = (29, 4, 13)  # MiB of the layers that all images have
_REPOSITORIES = {
    "checkout-api": ("Settles orders", ("4.10.2", "4.11.0", "4.11.1", "4.12.0"), (1.2, 6.1)),
    "payments/gateway": ("Cards and wallets, without a shell", ("2.6.9", "2.7.3"), (2.0, 1.9)),
    "web/storefront": ("The shop that people see", ("2026.11.2", "2026.11.3"), (8.4, 13.9)),
    "base/python": ("Python, hardened", ("3.13-slim",), (0.4,)),
    "tools/db-migrate": ("", ("0.9.14",), (3.6,)),
}
_COMMANDS = (
    "ADD rootfs.tar.xz / # buildkit",
    "RUN /bin/sh -c apt-get update && apt-get install -y --no-install-recommends ca-certificates",
    "RUN /bin/sh -c set -eux; ./configure --enable-optimizations && make install",
    "COPY pyproject.toml uv.lock ./ # buildkit",
    "COPY src/ ./src/ # buildkit",
)
_PICTURES = (
    ("repositories.zh", "/projects/commerce/", "zh-CN", "light", 1440, 900),
    ("repositories.phone.zh", "/projects/commerce/", "zh-CN", "light", 390, 1150),
    ("tags.en", page_of("commerce", "checkout-api"), "en-US", "light", 1440, 760),
    ("artifact.en", page_of("commerce", "checkout-api", "a/4.12.0/"), "en-US", "dark", 1440, 1120),
    ("artifact.zh", page_of("commerce", "checkout-api", "a/4.12.0/"), "zh-CN", "light", 1440, 1120),
    ("compare.en", page_of("commerce", "checkout-api", "compare?a=4.11.1&b=4.12.0"), "en-US", "light", 1440, 900),
    ("insights.en", "/projects/commerce/insights", "en-US", "dark", 1440, 860),
)


def main() -> int:
    """Make them all."""
    path = find_tool("chromium")
    if path is None:
        print("chromium is missing", file=sys.stderr)
        return 2
    with running_haven(environment={"HAVEN_ADMIN_PASSWORD": PASSWORD}) as server, sync_playwright() as playwright:
        server.admin_password = PASSWORD
        _fill(Site(server, PASSWORD))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, address, language, theme, width, height in _PICTURES:
            _photograph(browser, server.url, FOLDER / f"{name}.png", address, language, theme, (width, height))
        browser.close()
    return 0


def _fill(site: Site) -> None:
    """A project as a team has one."""
    site.project("commerce")
    assert site.server.api("PUT", "/projects/commerce", json={"metadata": {"public": "true"}}).ok
    base = [_layer(size, f"base{number}") for number, size in enumerate(_BASE)]
    for name, (description, tags, sizes) in _REPOSITORIES.items():
        made: Manifest | None = None
        for tag in tags:
            layers = [
                *base,
                *(_layer(size, (name, number, tag if number else "")) for number, size in enumerate(sizes)),
            ]
            made = _image(layers, tag)
            other = _image([*base[:1], *layers[3:]], tag, architecture="arm64")
            names = (tag, "latest") if tag == tags[-1] else (tag,)
            if name == "checkout-api" and tag == tags[-1]:
                names = (tag, "4.12", "latest")
            push(site, f"commerce/{name}", index([made, other]) if name == "web/storefront" else made, *names)
        assert made is not None
        if name in ("checkout-api", "payments/gateway"):
            push(
                site,
                f"commerce/{name}",
                artifact(subject=made, artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"),
            )
        if description:
            body = {"description": description}
            assert site.server.api("PUT", f"/projects/commerce/repositories/{name.replace('/', '%252F')}", json=body).ok
    for each in ("first", "second"):
        push(site, "commerce/checkout-api", _image([_layer(0.1, each)], each), "live")
    _pull(site)


def _pull(site: Site) -> None:
    """As often as each is liked, today; returns when the pulls are counted, which is done in batches."""
    client = site.server.client()
    liked = {"checkout-api": 48, "payments/gateway": 31, "web/storefront": 12, "base/python": 26}
    for name, times in liked.items():
        for _ in range(times):
            assert client.get_manifest(f"commerce/{name}", _REPOSITORIES[name][1][-1]).ok
    for _ in range(120):
        found = site.server.api("GET", "/projects/commerce/repositories?page_size=100").json()
        if sum(each["pull_count"] for each in found) == sum(liked.values()):
            return
        time.sleep(1)
    raise AssertionError("the pulls were not counted within two minutes")


def _layer(mib: float, seed: object) -> Blob:
    """An eighth of what it stands for, so that it is pushed soon."""
    return random_layer(int(mib * _MIB / 8), str(seed), compress=False)


def _image(layers: list[Blob], version: str, architecture: str = "amd64") -> Manifest:
    created = (datetime.now(UTC) - timedelta(hours=3)).isoformat(timespec="seconds").replace("+00:00", "Z")
    history: list[dict[str, Any]] = [{"created": created, "created_by": text} for text in _COMMANDS[: len(layers)]]
    history.insert(
        min(2, len(history)), {"created": created, "created_by": "ENV PYTHON_VERSION=3.13.9", "empty_layer": True}
    )
    history.append(
        {"created": created, "created_by": 'CMD ["uvicorn","checkout.app:create","--factory"]', "empty_layer": True}
    )
    config = {
        "architecture": architecture, "os": "linux", "created": created, "author": "ci@commerce",
        "config": {
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.13.9", f"APP_VERSION={version}"],
            "Entrypoint": ["uvicorn"], "User": "10001", "WorkingDir": "/app", "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"org.opencontainers.image.version": version, "team": "shop"},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": history,
    }  # fmt: skip
    return image(layers, config=Blob(json.dumps(config).encode(), OCI_CONFIG), architecture=architecture)


def _photograph(
    browser: Browser, url: str, file: Path, address: str, language: str, theme: str, size: tuple[int, int]
) -> None:
    context = browser.new_context(
        locale=language, color_scheme=theme, viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce"  # type: ignore[arg-type]
    )  # fmt: skip
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    sign_in(page, ADMIN)
    page.goto(url + address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)
    print(file.relative_to(ROOT))
    context.close()


if __name__ == "__main__":
    sys.exit(main())
