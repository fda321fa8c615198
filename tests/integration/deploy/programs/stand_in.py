"""A stand-in for a server: `stand_in.py NAME FOLDER [option…]`. Writes what happens to FOLDER/events, a line each.

workers=N    forks N workers that sleep for ever
ignore       ignores SIGTERM, and so do its workers
escape       its workers leave the session, as daemons do
sulk         never becomes ready
fail         ends at once with status 3
fail-late    ends with status 3 after 0.3 s of being ready
"""

import os
import signal
import sys
import time
from pathlib import Path

name, folder, options = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]


def note(event: str) -> None:
    descriptor = os.open(folder / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{name} {event}\n".encode())
    os.close(descriptor)


def stop(*_: object) -> None:
    note("stopped")
    os._exit(0)


if "fail" in options:
    print("cannot go on", flush=True)
    sys.exit(3)
workers = next((int(option[8:]) for option in options if option.startswith("workers=")), 0)
if "ignore" in options:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(workers):
    if os.fork() == 0:
        if "escape" in options:
            os.setsid()
        while True:
            time.sleep(60)
if "ignore" not in options:
    signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, lambda *_: note("reloaded"))
note("started")
print(f"{name} is here", flush=True)
if "sulk" not in options:
    (folder / f"{name}.ready").touch()
if "fail-late" in options:
    time.sleep(0.3)
    sys.exit(3)
while True:
    time.sleep(60)
