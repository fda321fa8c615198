"""Is the port free? Asked before the stack starts, so that the answer is one line and not a crashing child."""

import errno
import socket
import time

from haven_deploy.errors import AddressUnusable, PortInUse


def port_in_use(host: str, port: int) -> bool:
    """Whether another program listens there. Raises AddressUnusable where this user could never listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As nginx does: connections of an ended server in TIME_WAIT are no obstacle, a listening one is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            if error.errno == errno.EACCES:
                raise AddressUnusable(host, port, "ports below 1024 need root or CAP_NET_BIND_SERVICE") from None
            raise AddressUnusable(host, port, (error.strerror or str(error)).lower()) from None
    return False


def require_port_free(host: str, port: int) -> None:
    """Raises: PortInUse, AddressUnusable."""
    if port_in_use(host, port):
        raise PortInUse(host, port)


def wait_for_port_free(host: str, port: int, timeout_seconds: float = 10) -> None:
    """Wait for an ending server to let go of its port. Raises: PortInUse after the timeout, AddressUnusable."""
    deadline = time.monotonic() + timeout_seconds
    while port_in_use(host, port):
        if time.monotonic() >= deadline:
            raise PortInUse(host, port)
        time.sleep(0.1)
