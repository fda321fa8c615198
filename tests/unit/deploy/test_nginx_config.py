import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from haven_deploy import nginx
from haven_deploy.errors import DataDirUnusable, NginxConfigRejected

OLD = nginx.NginxBuild(Path("/usr/sbin/nginx"), (1, 22, 1))
NEW = nginx.NginxBuild(Path("/usr/sbin/nginx"), (1, 25, 1))


@pytest.fixture
def config(tmp_path):
    return nginx.GatewayConfig(
        listen=(("127.0.0.1", 8080),),
        scheme="http",
        run_dir=tmp_path / "run",
        access_log=tmp_path / "access.log",
        blobs_root=tmp_path / "blobs",
        metadata_socket=tmp_path / "registry.sock",
        uploads_socket=tmp_path / "uploads.sock",
        core_socket=tmp_path / "core.sock",
    )


def with_tls(config, tmp_path):
    return replace(config, certificate=tmp_path / "server.crt", key=tmp_path / "server.key", scheme="https")


def test_http2_is_said_as_the_version_understands_it(config, tmp_path):
    old, new = (nginx.render(with_tls(config, tmp_path), build) for build in (OLD, NEW))

    assert "listen 127.0.0.1:8080 default_server ssl http2;" in old
    assert "http2 on;" not in old
    assert "listen 127.0.0.1:8080 default_server ssl;" in new
    assert "http2 on;" in new


def test_plain_http_has_no_tls(config):
    text = nginx.render(config, NEW)

    assert "listen 127.0.0.1:8080 default_server;" in text
    assert "ssl_" not in text
    assert "http2" not in text


def test_ipv6_addresses_are_bracketed(config):
    text = nginx.render(replace(config, listen=(("::", 8080), ("2001:db8::1", 8081))), NEW)

    assert "listen [::]:8080 default_server ipv6only=off;" in text
    assert "listen [2001:db8::1]:8081 default_server;" in text


def test_every_error_is_an_envelope(config):
    bodies = re.findall(r"return (\d+) '(.*)';", nginx.render(config, NEW))

    assert len(bodies) == len(nginx.ERRORS) + len(nginx.BLOB_ERRORS)
    for status, body in bodies:
        (error,) = json.loads(body)["errors"]
        assert re.fullmatch("[A-Z_]+", error["code"])
        assert error["message"].endswith(".")
        assert error["detail"] is None
        assert 400 <= int(status) <= 505


def test_modules_that_were_left_out_are_not_configured(config):
    build = replace(NEW, arguments="--without-http_scgi_module --with-http_ssl_module")

    text = nginx.render(config, build)
    assert "scgi_temp_path" not in text
    assert "uwsgi_temp_path" in text


@pytest.mark.parametrize("character", ['"', "$", "\\", ";", "{", "\n"])
def test_path_that_nginx_would_misread_is_refused(config, tmp_path, character):
    with pytest.raises(DataDirUnusable):
        nginx.render(replace(config, blobs_root=tmp_path / f"a{character}b"), NEW)


def test_certificate_without_key_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match="a certificate needs its key"):
        nginx.render(replace(config, certificate=tmp_path / "server.crt"), NEW)


def test_real_nginx_accepts_it_and_its_complaint_is_shown(config, tmp_path):
    build = nginx.find_nginx()
    if build is None:
        pytest.skip("there is no nginx on this machine")
    spaced = replace(config, run_dir=tmp_path / "with space", blobs_root=tmp_path / "it's")
    path = nginx.write_config(spaced, build)
    nginx.check_config(build, path)

    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text().replace("server_tokens off", "server_tokens perhaps"))
    with pytest.raises(NginxConfigRejected, match=r'nginx rejects its configuration: .*invalid value "perhaps"'):
        nginx.check_config(build, path)


def test_nginx_is_found_outside_the_path(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    if not Path("/usr/sbin/nginx").exists():
        pytest.skip("there is no /usr/sbin/nginx on this machine")

    build = nginx.find_nginx()
    assert build.path == Path("/usr/sbin/nginx")
    assert build.version >= (1, 0, 0)
