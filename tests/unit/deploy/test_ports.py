import socket

import pytest

from haven_deploy.errors import AddressUnusable, PortInUse
from haven_deploy.ports import port_in_use, require_port_free, wait_for_port_free


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_listening_port_is_in_use(listener, host):
    port = listener.getsockname()[1]

    assert port_in_use(host, port)
    with pytest.raises(PortInUse, match=f"Port {port} on {host} is in use"):
        require_port_free(host, port)
    with pytest.raises(PortInUse):
        wait_for_port_free(host, port, timeout_seconds=0)


def test_port_is_free_after_its_server_ended(listener):
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    connection, _ = listener.accept()
    connection.close()  # the server's side waits in TIME_WAIT
    client.close()
    listener.close()

    assert not port_in_use("127.0.0.1", port)
    wait_for_port_free("127.0.0.1", port, timeout_seconds=0)


def test_foreign_address_is_unusable():
    with pytest.raises(AddressUnusable, match=r"Cannot listen on 192\.0\.2\.1 port 5000"):
        port_in_use("192.0.2.1", 5000)
