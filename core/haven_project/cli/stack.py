"""`haven up`, `down`, `status`, `logs`. Does not import Django: this process stays, as the supervisor."""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from haven_core.config import ConfigError, load_config
from haven_deploy.certificates import Certificates, ensure_certificates, local_names_and_addresses, trust_instructions
from haven_deploy.control import read_status, run_foreground, stop, wait_for_guardian
from haven_deploy.data_dir import prepare_data_dir
from haven_deploy.embedded import EmbeddedOptions, embedded_stack
from haven_deploy.errors import DeployError
from haven_deploy.logs import tail_logs
from haven_deploy.ports import require_port_free
from haven_project.cli.main import FAILED, UNUSABLE, complain

DETACHED_START_SECONDS = 120


def data_dir_of(options: argparse.Namespace) -> Path:
    """--data, else HAVEN_DATA_DIR, else ./data; absolute."""
    return Path(options.data or os.environ.get("HAVEN_DATA_DIR") or "data").absolute()


def up(options: argparse.Namespace) -> int:
    """Start the embedded stack and stay with it (or, with --detach, leave it running)."""
    try:
        if options.detach:
            return _detach(options)
        return _run(options)
    except (DeployError, ConfigError) as error:
        return complain(error)


def _run(options: argparse.Namespace) -> int:
    host, port = _listen_address(options)
    data_dir = prepare_data_dir(data_dir_of(options))
    wait_for_guardian(data_dir)
    require_port_free(host, port)
    certificates = _certificates(data_dir) if options.tls else None
    environment = {**os.environ, "HAVEN_DATA_DIR": str(data_dir)}
    embedded = EmbeddedOptions(
        data_dir=data_dir,
        host=host,
        port=port,
        certificate=certificates.certificate if certificates else None,
        key=certificates.key if certificates else None,
        env=environment,
    )
    if embedded.nginx is not None:
        environment["HAVEN_ACCEL_REDIRECT"] = "true"
        embedded = replace(embedded, env=environment)
    config = load_config(environment)
    storage = urlsplit(config.storage_url)
    if storage.scheme == "file":
        embedded = replace(embedded, storage_dir=Path(storage.path))
    if urlsplit(config.database_url).scheme != "sqlite":
        embedded = replace(embedded, registry_threads=2, uploads_threads=16)
    if code := _command(environment, "setup"):
        return code if code in (FAILED, UNUSABLE) else FAILED
    url = f"{'https' if options.tls else 'http'}://{_shown_host(host)}:{port}"

    def on_ready() -> None:
        proof = ["prove", "--url", url, *(["--ca", str(certificates.ca)] if certificates else [])]
        if _command(environment, *proof) not in (0, UNUSABLE):  # nothing can be pushed now, for the reason it printed
            raise ProofFailed(data_dir)
        print(
            _welcome(config.external_url or url, data_dir, certificates, host, port, embedded.nginx is None), flush=True
        )

    try:
        run_foreground(data_dir, embedded_stack(embedded), on_ready=on_ready)
    except ProofFailed as error:
        print(f"haven: {error}", file=sys.stderr)
        return FAILED
    return 0


class ProofFailed(Exception):
    """The stack is up but a push and pull through it failed."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"started, but pushing and pulling an image failed; stopped again. The logs are in {data_dir}/log"
        )


def _command(environment: Mapping[str, str], *words: str) -> int:
    """Another haven command, in a process of its own, so that its memory goes when it ends."""
    return subprocess.run(
        [sys.executable, "-m", "haven_project.cli", *words], env=dict(environment), check=False
    ).returncode


def _listen_address(options: argparse.Namespace) -> tuple[str, int]:
    default = "0.0.0.0:8443" if options.tls else "127.0.0.1:8080"  # TLS is for other machines
    text = options.listen or os.environ.get("HAVEN_LISTEN") or default
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        name = "--listen" if options.listen else "HAVEN_LISTEN"
        raise ConfigError(f"{name} takes HOST:PORT, such as 127.0.0.1:8080, not {text!r}")
    return host.strip("[]"), int(port)


def _shown_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104  # a wildcard is no name; this machine's own is
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _name_for_others(host: str) -> str:
    """What clients on other machines call this one: the address it listens on, or its own name."""
    return socket.getfqdn() if host in ("0.0.0.0", "::") else _shown_host(host)  # noqa: S104


def _certificates(data_dir: Path) -> Certificates:
    names, addresses = local_names_and_addresses()
    return ensure_certificates(data_dir / "tls", names, addresses)


def _welcome(url: str, data_dir: Path, tls: Certificates | None, host: str, port: int, is_development: bool) -> str:
    registry = urlsplit(url).netloc
    password_file = data_dir / "admin-password"
    password = f"in {password_file}" if password_file.exists() else "the one you gave, or set since"
    lines = [
        "",
        f"Haven is ready at {url}",
        "  user      admin",
        f"  password  {password}",
        "",
        f"  docker login {registry} -u admin",
        f"  docker tag IMAGE {registry}/library/IMAGE",
        f"  docker push {registry}/library/IMAGE",
    ]
    if is_development:
        lines += [
            "",
            "Development mode: there is no nginx, the application server answers the port itself. Install nginx for real use.",
        ]
    if tls:
        lines += ["", trust_instructions(tls.ca, _name_for_others(host), port).rstrip()]
    elif not registry.startswith(("127.", "localhost", "[::1]")):
        lines += ["", "Clients on other machines refuse plain HTTP: use --tls, or put a TLS proxy in front."]
    return "\n".join([*lines, ""])


def _detach(options: argparse.Namespace) -> int:
    """Start `haven up` in a session of its own and wait until it is ready."""
    data_dir = prepare_data_dir(data_dir_of(options))
    words = [sys.executable, "-m", "haven_project.cli", "up", "--data", str(data_dir)]
    words += ["--listen", options.listen] if options.listen else []
    words += ["--tls"] if options.tls else []
    output = data_dir / "log" / "up.log"
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    deadline = time.monotonic() + DETACHED_START_SECONDS
    while time.monotonic() < deadline:
        ended = child.poll()
        text = output.read_text()
        if ended is not None or "Haven is ready at" in text:
            print(text, end="", file=sys.stderr if ended else sys.stdout)
            return ended or 0
        time.sleep(0.1)
    child.terminate()
    print(f"haven: not ready after {DETACHED_START_SECONDS} s; the logs are in {data_dir}/log", file=sys.stderr)
    return FAILED


def down(options: argparse.Namespace) -> int:
    """Stop the stack and wait until everything it started is gone."""
    try:
        stop(data_dir_of(options))
    except DeployError as error:
        return complain(error)
    print("stopped")
    return 0


def status(options: argparse.Namespace) -> int:
    """Print what runs. Exit code 1 when nothing does."""
    found = read_status(data_dir_of(options))
    if options.json:
        from dataclasses import asdict

        print(json.dumps(asdict(found) if found else {"state": "stopped"}))
        return 0 if found else FAILED
    if found is None:
        print(f"Haven is not running in {data_dir_of(options)}")
        return FAILED
    now = time.time()
    print(f"{found.state} for {_duration(now - found.started_at)}, supervisor {found.pid}")
    for process in found.processes:
        restarts = f", restarted {process.restarts}×" if process.restarts else ""
        print(
            f"  {process.name:<10} {process.state:<9} pid {process.pid or '-':<8} "
            f"for {_duration(now - process.since)}{restarts}"
        )
    return 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(shown) or "0 s"


def logs(options: argparse.Namespace) -> int:
    """Print the processes' logs."""
    found = tail_logs(data_dir_of(options), follow=options.follow, names=options.name, lines=options.lines)
    for name, line in found:
        print(f"{name:<10} {line}", flush=options.follow)
    return 0
