"""What can go wrong around the processes; each error is one line that says what to do."""

# each class is named after the fact it states

from pathlib import Path


class DeployError(Exception):
    """Base of every error the operator of the embedded stack may see. str() is one line, fit to print."""


class PortInUse(DeployError):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is in use by another program. Stop it, or choose another port.")


class AddressUnusable(DeployError):
    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"Cannot listen on {host} port {port}: {reason}.")


class AlreadyRunning(DeployError):
    def __init__(self, data_dir: Path, pid: int | None) -> None:
        process = f" (process {pid})" if pid else ""
        super().__init__(f"Haven is already running in {data_dir}{process}.")


class NotRunning(DeployError):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"Haven is not running in {data_dir}.")


class StillRunning(DeployError):
    def __init__(self, data_dir: Path, seconds: float) -> None:
        super().__init__(f"Haven in {data_dir} has not stopped within {seconds:.0f} s.")


class DataDirUnusable(DeployError):
    def __init__(self, data_dir: Path, reason: str) -> None:
        super().__init__(f"The data folder {data_dir} cannot be used: {reason}.")


class ForeignDataDir(DeployError):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"The folder {data_dir} is not empty and not Haven's. Name an empty or a new folder.")


class StartFailed(DeployError):
    """A process ended, or did not become ready, before the stack had ever been complete."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"The process {name} {reason}. Its output is in {log}.")


class NginxConfigRejected(DeployError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"nginx rejects its configuration: {reason}")


class BrokerMissing(DeployError):
    def __init__(self) -> None:
        super().__init__("No Valkey and no Redis was found: install valkey-server or redis-server.")
