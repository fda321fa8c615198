"""Commands that look into the data: setup, config, admin, prove. Each runs in a process of its own, with Django."""

import argparse
import os
import sys
from dataclasses import asdict
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from haven_core.config import VARIABLES, Config, ConfigError, load_config
from haven_project.cli.main import FAILED, UNUSABLE, complain
from haven_project.loading import loading


def with_django(options: argparse.Namespace) -> Config:
    """Settings and models. Raises ConfigError."""
    if options.data:
        os.environ["HAVEN_DATA_DIR"] = str(options.data.absolute())
    config = load_config()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "haven_project.settings")
    import django

    with loading():
        django.setup()
    return config


def setup(options: argparse.Namespace) -> int:
    """Try the storage, migrate, then make what a fresh registry has: a signing key, the admin, the project library."""
    config = with_django(options)
    from haven_registry.storage.errors import StorageError, StorageFull, StorageUnavailable

    try:
        _try_storage()
    except StorageFull:
        pass  # reads go on, and so does making room
    except StorageError as error:
        code = FAILED if isinstance(error, StorageUnavailable) else UNUSABLE
        return complain(f"HAVEN_STORAGE_URL: the storage can't be used: {_first_line(error)}", code)
    return _migrate() or _first_data(config)


def _migrate() -> int:
    from django.db import DatabaseError, OperationalError, connection
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        unknown = executor.loader.applied_migrations.keys() - executor.loader.disk_migrations.keys()
        if unknown:
            names = ", ".join(f"{app} {name}" for app, name in sorted(unknown))
            return complain(
                f"the database was made by a newer Haven ({names}); start that version, or restore a backup"
            )
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            from django.core.management import call_command

            call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        code = FAILED if connection.vendor == "postgresql" else UNUSABLE  # a server may be away
        return complain(f"HAVEN_DATABASE_URL: the database can't be used: {_first_line(error)}", code)
    except DatabaseError as error:
        return complain(f"HAVEN_DATABASE_URL: the database could not be migrated: {_first_line(error)}")
    return 0


def _first_line(error: Exception) -> str:
    """What fits into one line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _first_data(config: Config) -> int:
    from haven_core.accounts.services import ensure_admin
    from haven_core.errors import BadRequest
    from haven_core.projects.services import ensure_library
    from haven_core.sealing import Unsealable
    from haven_core.tokens.keys import ensure_key, signing_key

    ensure_key()
    try:
        signing_key()
    except Unsealable:
        return complain("HAVEN_SECRET_KEY (or DATA/secret-key) is not the one that this database was made with")
    try:
        generated = ensure_admin(os.environ.get("HAVEN_ADMIN_PASSWORD") or None)
    except BadRequest as error:
        return complain(f"HAVEN_ADMIN_PASSWORD: {error}")
    if generated is not None:
        _write_secret(config, generated)
    ensure_library()
    return 0


def _write_secret(config: Config, password: str) -> None:
    path = config.data_dir / "admin-password"
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")


def config_show(options: argparse.Namespace) -> int:
    """Every setting with its value, secrets hidden."""
    if options.data:
        os.environ["HAVEN_DATA_DIR"] = str(options.data.absolute())
    values = asdict(load_config())
    for variable in VARIABLES:
        value = values[variable.field]
        text = _hidden(variable.name, str(value or "")) if variable.secret else "" if value is None else str(value)
        origin = "" if variable.name in os.environ else "  (default)"
        print(f"{variable.name:<28} {text}{origin}\n{'':<28} {variable.meaning}")
    return 0


def _hidden(name: str, value: str) -> str:
    """What is named a URL without its passwords; anything else secret not at all, whatever it looks like."""
    if not name.endswith("_URL") or not value:
        return "***" if value else ""
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username or ''}{':***' if parts.password else ''}@" if "@" in parts.netloc else ""
    query = urlencode(
        [(key, "***" if "pass" in key.lower() else text) for key, text in parse_qsl(parts.query)], safe="*/"
    )
    text = urlunsplit(("", "", parts.path, query, ""))  # which would drop the slashes of a URL without a host
    return f"{parts.scheme}://{user}{host}{text}"


def config_check(options: argparse.Namespace) -> int:
    """Try database, broker and storage; exit code 1 when one fails."""
    with_django(options)
    failures = 0
    trials = {
        "database": ("HAVEN_DATABASE_URL", _try_database),
        "broker": ("HAVEN_REDIS_URL", _try_broker),
        "storage": ("HAVEN_STORAGE_URL", _try_storage),
    }
    for name, (variable, try_it) in trials.items():
        try:
            try_it()
            print(f"{name:<10} ok")
        except ConfigError as error:  # names its variable
            failures += 1
            print(f"{name:<10} {error}")
        except Exception as error:  # noqa: BLE001  # whatever it is, the line below tells it
            failures += 1
            print(f"{name:<10} {variable}: {_first_line(error)}")
    return FAILED if failures else 0


def _try_database() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _try_broker() -> None:
    import redis

    from haven_core.conf import config

    redis.Redis.from_url(config().redis_url, socket_timeout=5).ping()


def _try_storage() -> None:
    from haven_registry.store import driver

    driver().check()


def reset_password(options: argparse.Namespace) -> int:
    """A new password for admin; every session and cached proof of the old one ends."""
    config = with_django(options)
    from haven_core.accounts.services import generate_password, reset_admin
    from haven_core.errors import BadRequest

    given = os.environ.get("HAVEN_ADMIN_PASSWORD") or None
    password = given or generate_password()
    try:
        reset_admin(password)
    except BadRequest as error:
        return complain(f"HAVEN_ADMIN_PASSWORD: {error}")
    if given is None:
        _write_secret(config, password)
        print(f"admin has a new password, in {config.data_dir / 'admin-password'}")
    else:
        (config.data_dir / "admin-password").unlink(missing_ok=True)
        print("admin has the password of HAVEN_ADMIN_PASSWORD")
    return 0


def rotate_token_key(options: argparse.Namespace) -> int:
    """A new key for registry tokens; the old one verifies until the last token that it signed has ended."""
    with_django(options)
    from haven_core.tokens.keys import SIGNS_AFTER, rotate_key

    kid = rotate_key()
    seconds = SIGNS_AFTER.total_seconds()
    print(f"key {kid} signs tokens {seconds:.0f} seconds from now, when every process knows it; older tokens stay good")
    return 0


def prove(options: argparse.Namespace) -> int:
    """Push and pull a tiny image over HTTP, as a client would."""
    with_django(options)
    from haven_project.proof import ProofError, PushRefused, prove_push_and_pull

    try:
        prove_push_and_pull(options.url, ca=options.ca)
    except PushRefused as error:
        return complain(f"nothing can be pushed now: {error}")
    except ProofError as error:
        print(f"haven: {error}", file=sys.stderr)
        return FAILED
    return 0
