"""`haven seed`: fill a registry with made-up data, to try things out and to measure."""

import argparse
import sys
import time
from dataclasses import replace

from haven_project.cli import care
from haven_project.cli.main import FAILED, complain
from haven_project.seeding.scale import SCALES, Scale, ScaleError

NUMBERS = ("projects", "repositories", "artifacts", "users")


def seed(options: argparse.Namespace) -> int:
    """Make the data; exit code 2 for a database that is not empty or is in use."""
    from haven_deploy.control import read_status
    from haven_deploy.data_dir import prepare_data_dir
    from haven_deploy.errors import DeployError
    from haven_project.cli.stack import data_dir_of

    try:
        data_dir = prepare_data_dir(data_dir_of(options))
    except DeployError as error:
        return complain(error)
    if read_status(data_dir) is not None:
        return complain(f"Haven is running in {data_dir}; stop it first: haven down")
    if code := care.setup(options):
        return code
    return _fill(options, _scale(options))


def _scale(options: argparse.Namespace) -> Scale:
    given = {name: getattr(options, name) for name in NUMBERS if getattr(options, name) is not None}
    return replace(SCALES[options.scale], **given)


def _fill(options: argparse.Namespace, scale: Scale) -> int:
    from haven_core.accounts import passwords
    from haven_core.errors import BadRequest
    from haven_project.seeding.run import NotEmpty, seed
    from haven_registry.storage.errors import StorageError
    from haven_registry.store import driver

    began = time.monotonic()
    try:
        password_hash = ""
        if options.password is not None:
            passwords.check_rule(options.password)
            password_hash = passwords.hash_password(options.password)
        seed(scale, driver(), number=options.seed, password_hash=password_hash, adds=options.add, show=_show)
    except (BadRequest, NotEmpty, ScaleError) as error:
        return complain(error)
    except StorageError as error:
        print(f"haven: nothing was seeded: {error}", file=sys.stderr)
        return FAILED
    made = ", ".join(f"{getattr(scale, name):,} {name}" for name in NUMBERS)
    print(f"seeded in {time.monotonic() - began:.0f} s: {made}")
    return 0


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
