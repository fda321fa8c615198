"""The gateway's configuration: rendered from templates/nginx.conf, checked by nginx itself.

The template's variables are written %{name}; all of nginx's own `$variables` stay as they are.
"""

import grp
import json
import os
import pwd
import re
import resource
import shutil
import string
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from haven_deploy.data_dir import write_atomically
from haven_deploy.errors import DataDirUnusable, NginxConfigRejected
from haven_deploy.logs import open_log

SEARCHED_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin", "/opt/homebrew/bin")
MAX_OPEN_FILES = 65536
RETRY_AFTER_SECONDS = 5

# Status nginx answers by itself -> status sent, code, message. The codes are the OCI distribution specification's where
# it has one, else Harbor's. 502 becomes 503: to a client a server that is being restarted is unavailable, not broken.
ERRORS: dict[int, tuple[int, str, str]] = {
    400: (400, "BAD_REQUEST", "The request is not valid HTTP."),
    404: (404, "NOT_FOUND", "There is nothing at this address."),
    405: (405, "UNSUPPORTED", "The method is not supported."),
    408: (408, "REQUEST_TIMEOUT", "The request took too long to arrive."),
    413: (413, "SIZE_INVALID", "The request body is too large."),
    414: (414, "BAD_REQUEST", "The address is too long."),
    416: (416, "RANGE_INVALID", "The requested range lies outside the content."),
    429: (429, "TOOMANYREQUESTS", "There are too many requests."),
    431: (431, "BAD_REQUEST", "The request headers are too large."),
    494: (431, "BAD_REQUEST", "The request headers are too large."),
    497: (400, "BAD_REQUEST", "This port speaks HTTPS: use https://."),
    500: (500, "UNKNOWN", "The gateway failed."),
    501: (501, "UNSUPPORTED", "The transfer coding is not supported."),
    502: (503, "UNAVAILABLE", "The service is starting or restarting. Try again."),
    503: (503, "UNAVAILABLE", "The service is starting or restarting. Try again."),
    504: (504, "UNAVAILABLE", "The service did not answer in time. Try again."),
    505: (505, "UNSUPPORTED", "The HTTP version is not supported."),
}
BLOB_ERRORS: dict[int, tuple[int, str, str]] = {
    **ERRORS,
    403: ERRORS[500],  # the file cannot be read: the installation's fault, not the client's
    404: (404, "BLOB_UNKNOWN", "The content of the blob is missing from the storage."),
}


@dataclass(frozen=True)
class NginxBuild:
    """An nginx program, its version, and the arguments of its `configure`."""

    path: Path
    version: tuple[int, int, int]
    arguments: str = ""


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """What the template needs.

    listen: (host, port) pairs. scheme: what clients use, http or https, also when TLS ends before this nginx.
    run_dir: the gateway's own folder for its configuration, pid file and temporary files.
    blobs_root: the folder of `X-Accel-Redirect: /_blobs/…`. certificate, key: PEM files; both or neither.
    """

    listen: tuple[tuple[str, int], ...]
    scheme: str
    run_dir: Path
    access_log: Path
    blobs_root: Path
    metadata_socket: Path
    uploads_socket: Path
    core_socket: Path
    certificate: Path | None = None
    key: Path | None = None
    workers: int = 2


class _Template(string.Template):
    delimiter = "%"


def find_nginx() -> NginxBuild | None:
    """The system's nginx, from PATH or where packages put it; None if there is none that runs."""
    found = shutil.which("nginx") or shutil.which("nginx", path=os.pathsep.join(SEARCHED_FOLDERS))
    if found is None:
        return None
    try:
        answer = subprocess.run(
            [found, "-V"], capture_output=True, text=True, timeout=10, check=True, env=_environment()
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"nginx version: \S+/(\d+)\.(\d+)\.(\d+)", answer)
    if version is None:
        return None
    major, minor, patch = (int(number) for number in version.groups())
    arguments = re.search(r"^configure arguments: (.*)$", answer, re.MULTILINE)
    return NginxBuild(Path(found), (major, minor, patch), arguments.group(1) if arguments else "")


def render(config: GatewayConfig, build: NginxBuild) -> str:
    """The text of nginx.conf.

    Raises: DataDirUnusable for a path that nginx cannot quote; ValueError for half a TLS pair.
    """
    if (config.certificate is None) != (config.key is None):
        raise ValueError("a certificate needs its key, and a key its certificate")
    template = resources.files("haven_deploy").joinpath("templates/nginx.conf").read_text(encoding="utf-8")
    open_files = _open_files()
    return _Template(template).substitute(
        user=_user_directive(),
        workers=config.workers,
        open_files=open_files,
        connections=min(8192, open_files // 4),  # a proxied connection takes two, and a file or two besides
        run_dir=_quotable(config.run_dir),
        access_log=_quoted(config.access_log),
        temp_paths=_temp_paths(config.run_dir, build),
        scheme=config.scheme,
        blobs_root=_quotable(config.blobs_root),
        metadata_socket=_socket(config.metadata_socket),
        uploads_socket=_socket(config.uploads_socket),
        core_socket=_socket(config.core_socket),
        listen=_listen(config, build),
        tls=_tls(config),
        error_pages=_indented(8, _error_pages(ERRORS, "")),
        blob_error_pages=_indented(12, _error_pages(BLOB_ERRORS, "blob-")),
        error_locations=_indented(8, (*_error_locations(ERRORS, ""), *_error_locations(BLOB_ERRORS, "blob-"))),
    )


def write_config(config: GatewayConfig, build: NginxBuild) -> Path:
    """Write run_dir/nginx.conf, readable by this user alone, and make its folder. Returns the file's path."""
    config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(open_log(config.access_log))  # nginx would make it readable for all
    path = config.run_dir / "nginx.conf"
    write_atomically(path, render(config, build))
    return path


def arguments(build: NginxBuild, config_path: Path) -> tuple[str, ...]:
    """The command line of nginx; `-e` keeps it from its built-in log file until it has read the configuration."""
    early_log = ("-e", "stderr") if build.version >= (1, 19, 5) else ()
    return (str(build.path), "-p", str(config_path.parent), *early_log, "-c", str(config_path))


def check_config(build: NginxBuild, config_path: Path) -> None:
    """Let nginx read the configuration. Raises: NginxConfigRejected with nginx's own words."""
    answer = subprocess.run(
        [*arguments(build, config_path), "-t", "-q"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=_environment(),
    )
    if answer.returncode != 0:
        lines = [line for line in answer.stderr.splitlines() if "[emerg]" in line] or answer.stderr.splitlines()
        raise NginxConfigRejected(lines[0] if lines else f"exit status {answer.returncode}")


def error_body(code: str, message: str) -> str:
    """The distribution specification's error envelope, which Harbor's API shares."""
    return json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}, separators=(",", ":"))


def _environment() -> dict[str, str]:
    """This environment without NGINX, by which nginx takes over sockets from a parent."""
    return {name: value for name, value in os.environ.items() if name != "NGINX"}


def _error_pages(errors: dict[int, tuple[int, str, str]], prefix: str) -> Iterable[str]:
    for status, (sent, _, _) in sorted(errors.items()):
        yield f"error_page {status} ={sent} /_error/{prefix}{status};"


def _error_locations(errors: dict[int, tuple[int, str, str]], prefix: str) -> Iterable[str]:
    """One internal address per error: a named location would fail where nginx could not read an address at all."""
    for status, (sent, code, message) in sorted(errors.items()):
        yield f"location = /_error/{prefix}{status} {{"
        yield "    internal;"
        yield "    client_max_body_size 0;"  # over HTTP/2 a body that was refused would be refused here again
        yield "    default_type application/json;"
        yield from _error_headers(has_headers=(prefix, status) == ("blob-", 416))
        if sent in (429, 503, 504):
            yield f"    add_header Retry-After {RETRY_AFTER_SECONDS} always;"
        yield f"    return {sent} '{error_body(code, message)}';"
        yield "}"


def _error_headers(*, has_headers: bool) -> Iterable[str]:
    """has_headers: the answer has them already. A 416 is found out after the headers of the file were added; they stay."""
    if has_headers:
        yield '    add_header X-Request-Id "";'  # adds nothing, and keeps those of the http block out
        return
    yield "    add_header X-Content-Type-Options nosniff always;"
    yield "    add_header X-Request-Id $haven_request_id always;"
    yield "    add_header Docker-Distribution-Api-Version $haven_api_version always;"


def _listen(config: GatewayConfig, build: NginxBuild) -> str:
    http2_by_listen = config.certificate is not None and build.version < (1, 25, 1)
    options = " default_server" + (" ssl" if config.certificate else "") + (" http2" if http2_by_listen else "")
    lines = []
    for host, port in config.listen:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        only = " ipv6only=off" if host == "::" else ""
        lines.append(f"listen {address}{options}{only};")
    if config.certificate is not None and not http2_by_listen:
        lines.append("http2 on;")
    return _indented(8, lines)


def _tls(config: GatewayConfig) -> str:
    if config.certificate is None or config.key is None:
        return ""
    return _indented(
        8,
        (
            f"ssl_certificate {_quoted(config.certificate)};",
            f"ssl_certificate_key {_quoted(config.key)};",
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "ssl_session_cache shared:haven:2m;",
            "ssl_session_timeout 1h;",
            "ssl_session_tickets off;",
        ),
    )


def _temp_paths(run_dir: Path, build: NginxBuild) -> str:
    """nginx makes folders even for modules that are not used, where only root can write unless it is told another."""
    modules = [name for name in ("fastcgi", "uwsgi", "scgi") if f"--without-http_{name}_module" not in build.arguments]
    return _indented(4, (f"{name}_temp_path {_quoted(run_dir / name)};" for name in modules))


def _user_directive() -> str:
    """Root's nginx would run its workers as somebody who may not enter the data folder: keep the user as it is."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


def _open_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)


def _socket(path: Path) -> str:
    return f'"unix:{_quotable(path)}"'


def _quoted(path: Path) -> str:
    return f'"{_quotable(path)}"'


def _quotable(path: Path) -> str:
    """The path, if nginx reads it inside quotes as it stands: in some directives a $ begins a variable."""
    text = str(path)
    if re.search(r'["$\\;{}\x00-\x1f]', text):
        raise DataDirUnusable(path, 'its path has a character that nginx cannot read (one of " $ \\ ; { })')
    return text


def _indented(spaces: int, lines: Iterable[str]) -> str:
    return "\n".join(" " * spaces + line for line in lines)
