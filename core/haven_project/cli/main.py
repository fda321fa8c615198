"""Words of the `haven` command, and which function each calls. Modules are imported when their command runs: the
supervisor must stay small, and `haven version` must be quick."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from haven_core.config import ConfigError

FAILED, UNUSABLE = 1, 2

_EPILOG = """\
examples:
  haven up                              start on http://127.0.0.1:8080, data in ./data
  haven up --tls --listen 0.0.0.0:8443  start for other machines, with a certificate of its own
  haven status                          what is running, since when, with how many restarts
  haven logs -f registry                follow one process's log
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 can't be done as asked (one line says why)."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and not hasattr(options, "pytest"):
        parser.error(f"unknown argument: {rest[0]}")
    if rest:
        options.pytest = rest + options.pytest
    try:
        return int(options.run(options) or 0)
    except ConfigError as error:
        return complain(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return FAILED  # the reader of our output is gone


def complain(error: object, code: int = UNUSABLE) -> int:
    """One line on stderr. Returns the exit code: 1 for what may pass by itself, such as a server that is away."""
    print(f"haven: {error}", file=sys.stderr)
    return code


def product_version() -> str:
    """The installed version, or the checkout's."""
    try:
        return version("haven")
    except PackageNotFoundError:
        import tomllib

        file = Path(__file__).parents[3] / "pyproject.toml"
        return str(tomllib.loads(file.read_text())["project"]["version"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="haven",
        description="Haven, a container registry. `haven up` is all it takes to run one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_stack_commands(commands)
    _add_care_commands(commands)
    _add_cleaning_commands(commands)
    _add_seed_command(commands)
    _add_development_commands(commands)
    return parser


def _command(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """A command of haven_project.cli.<module>, which is imported when the command runs."""

    def run(options: argparse.Namespace) -> int:
        return int(getattr(import_module(f"haven_project.cli.{module}"), function)(options))

    return run


def _data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder (default: HAVEN_DATA_DIR or ./data)")


def _add_stack_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser("up", help="set up and start everything on this machine")
    _data_option(up)
    up.add_argument(
        "--listen", metavar="HOST:PORT", help="default: HAVEN_LISTEN, else 127.0.0.1:8080 (with --tls 0.0.0.0:8443)"
    )
    up.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate of a private CA, made here")
    up.add_argument("--detach", action="store_true", help="return when it is ready; `haven down` stops it")
    up.set_defaults(run=_command("stack", "up"))

    down = commands.add_parser("down", help="stop it")
    _data_option(down)
    down.set_defaults(run=_command("stack", "down"))

    status = commands.add_parser("status", help="what is running; exit code 1 when it is not")
    _data_option(status)
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_command("stack", "status"))

    logs = commands.add_parser("logs", help="show the processes' logs")
    _data_option(logs)
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    logs.add_argument(
        "-n", "--lines", type=int, default=50, metavar="N", help="begin with the last N lines (default 50)"
    )
    logs.add_argument("name", nargs="*", help="such as registry, uploads, core, worker, nginx; all without one")
    logs.set_defaults(run=_command("stack", "logs"))

    show_version = commands.add_parser("version", help="print the version")
    show_version.set_defaults(run=lambda _: print(f"haven {product_version()}"))


def _add_care_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    config = commands.add_parser("config", help="show or check the settings (HAVEN_* variables)")
    actions = config.add_subparsers(metavar="ACTION", required=True)
    for name, text in (
        ("show", "print every setting, secrets hidden"),
        ("check", "also try database, broker and storage"),
    ):
        action = actions.add_parser(name, help=text)
        _data_option(action)
        action.set_defaults(run=_command("care", f"config_{name}"))

    rotate = commands.add_parser(
        "rotate-token-key", help="sign registry tokens with a new key from now on; nobody is logged out"
    )
    _data_option(rotate)
    rotate.set_defaults(run=_command("care", "rotate_token_key"))

    admin = commands.add_parser("admin", help="look after the admin account")
    actions = admin.add_subparsers(metavar="ACTION", required=True)
    reset = actions.add_parser(
        "reset-password", help="give admin a new password (HAVEN_ADMIN_PASSWORD, else generated)"
    )
    _data_option(reset)
    reset.set_defaults(run=_command("care", "reset_password"))

    setup = commands.add_parser("setup", help="migrate the database and make the admin; `up` does it by itself")
    _data_option(setup)
    setup.set_defaults(run=_command("care", "setup"))

    prove = commands.add_parser("prove", help="push and pull a tiny image over HTTP; `up` does it by itself")
    _data_option(prove)
    prove.add_argument("--url", required=True, help="such as http://127.0.0.1:8080")
    prove.add_argument("--ca", type=Path, metavar="FILE", help="trust this CA certificate")
    prove.set_defaults(run=_command("care", "prove"))


def _add_cleaning_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    fsck = commands.add_parser("fsck", help="check every invariant of the data; exit code 1 when one is broken")
    _data_option(fsck)
    fsck.add_argument(
        "--no-bytes", action="store_true", help="rows only: do not look whether each blob's bytes are there"
    )
    fsck.add_argument(
        "--repair", action="store_true", help="first mend what has one right answer, and remove files no row leads to"
    )
    fsck.set_defaults(run=_command("cleaning", "fsck"))

    gc = commands.add_parser("gc", help="collect garbage now, here; it also runs by itself")
    actions = gc.add_subparsers(metavar="ACTION", required=True)
    for name, text in (("run", "remove what may go"), ("dry-run", "only name what would go, and why")):
        action = actions.add_parser(name, help=text)
        _data_option(action)
        action.add_argument(
            "--delete-untagged", action="store_true", help="also manifests without a tag that nothing keeps"
        )
        action.set_defaults(run=_command("cleaning", "gc"), dry_run=name == "dry-run")

    scrub = commands.add_parser("scrub", help="read every blob again and compare digests; exit code 1 for damage")
    _data_option(scrub)
    scrub.add_argument(
        "--rate", type=float, default=50, metavar="MIB", help="at most so many MiB a second (default 50)"
    )
    scrub.set_defaults(run=_command("cleaning", "scrub"))


_SEED = """\
Fills a registry with made-up data: people, projects, robots, labels, repositories, images and charts with tags, pulls,
and an audit log. Everything is valid: every image can be pulled, quotas are exact, `haven fsck` finds nothing. Images
share a few real, tiny layers, so a million of them need little disk beside the database.

The database must be empty (as the first start leaves it), and nothing may run on it meanwhile. All is one transaction:
after Ctrl-C or an error nothing is seeded. The same --seed makes the same names, digests and sizes.

  scale    projects  repositories  artifacts  users
  small          10           200      2,000     30   a second
  medium        100        10,000    100,000    300   half a minute
  large       1,000       100,000  1,000,000  2,000   minutes; use PostgreSQL

Ten projects have 200 members, as far as there are so many people. One repository, the first of the project `payments`,
holds one artifact in a hundred, with five tags each.
"""

_SEED_EXAMPLES = """\
examples:
  haven seed --data try --scale small && haven up --data try
  HAVEN_DATABASE_URL=postgresql://… haven seed --scale large
  haven seed --artifacts 50000 --repositories 500 --password 'Try-it-0ut'    people can log in, as anna.adler
"""


def _add_seed_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    seed = commands.add_parser(
        "seed",
        help="fill an empty registry with made-up data, to try it or to measure",
        description=_SEED,
        epilog=_SEED_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _data_option(seed)
    seed.add_argument("--scale", choices=("small", "medium", "large"), default="small", help="default: small")
    for name in ("projects", "repositories", "artifacts", "users"):
        seed.add_argument(f"--{name}", type=int, metavar="N", help=f"so many {name} instead of the scale's")
    seed.add_argument("--seed", type=int, default=1, metavar="N", help="another number makes other data (default 1)")
    seed.add_argument(
        "--password", metavar="TEXT", help="the password of all made-up people; without it none of them can log in"
    )
    seed.add_argument("--add", action="store_true", help="also when the registry holds something already")
    seed.set_defaults(run=_command("seeding", "seed"))


def _add_development_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    test = commands.add_parser("test", help="install what the tests need and run them")
    which = test.add_mutually_exclusive_group()
    which.add_argument("--slow", action="store_true", help="only the slow ones: killed processes, browsers, fuzzing")
    which.add_argument("--all", action="store_true", dest="long", help="all, also the long ones: 10 GiB layer, soak")
    test.add_argument("pytest", nargs="*", help="arguments for pytest, such as tests/unit -k digest")
    test.set_defaults(run=_command("develop", "test"))

    check = commands.add_parser("check", help="linters, types, import contracts, migrations: what CI checks first")
    check.set_defaults(run=_command("develop", "check"))
