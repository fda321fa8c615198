"""Audit lines to a syslog server over TCP (RFC 5424 messages, RFC 6587 octet counting)."""

import socket
from collections.abc import Iterable
from datetime import UTC

from haven_core.audit.entries import Entry
from haven_core.configuration.keys import split_endpoint

_TIMEOUT_SECONDS = 5.0
_PRIORITY = 13 * 8 + 6  # facility "log audit", severity informational
_ENTERPRISE = "audit@32473"  # RFC 5612's number for what has none of its own


def send(endpoint: str, entries: Iterable[Entry]) -> None:
    """Send each entry as one message. Raises OSError when the server can't be reached or hangs up."""
    address = split_endpoint(endpoint)
    if address is None:
        raise OSError(f"{endpoint} is no host:port")
    with socket.create_connection(address, timeout=_TIMEOUT_SECONDS) as connection:
        connection.sendall(b"".join(map(framed, entries)))


def framed(entry: Entry) -> bytes:
    """One message with its length before it."""
    moment = entry.op_time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "user": entry.username,
        "address": entry.address,
        "operation": entry.operation,
        "type": entry.resource_type,
        "resource": entry.resource,
        "result": "success" if entry.is_success else "failure",
    }
    data = " ".join(f'{name}="{_escaped(value)}"' for name, value in fields.items())
    text = " ".join(entry.description.split())
    message = f"<{_PRIORITY}>1 {moment} - haven - {entry.event_id} [{_ENTERPRISE} {data}] {text}".encode()
    return b"%d %s" % (len(message), message)


def _escaped(value: str) -> str:
    """RFC 5424, 6.3.3; control characters would be lines of their own to a lax reader."""
    printable = "".join(letter if letter.isprintable() else " " for letter in value)
    return printable.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
