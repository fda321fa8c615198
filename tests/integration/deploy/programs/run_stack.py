"""Runs stand-ins under the supervisor: `run_stack.py DATA_DIR SPECIFICATION`, the latter a JSON list of objects."""

import json
import os
import signal
import sys
from pathlib import Path

from haven_deploy.control import run_foreground
from haven_deploy.data_dir import prepare_data_dir
from haven_deploy.errors import DeployError
from haven_deploy.processes import Process

data_dir = Path(sys.argv[1])
stand_in = Path(__file__).with_name("stand_in.py")


def process(name: str, options: list[str], **settings: object) -> Process:
    ready = data_dir / f"{name}.ready"
    if settings.get("reload_signal"):
        settings["reload_signal"] = signal.SIGHUP
    settings["depends_on"] = tuple(settings.get("depends_on", ()))
    return Process(
        name=name,
        argv=(sys.executable, str(stand_in), name, str(data_dir), *options),
        env=dict(os.environ),
        ready=ready.exists,
        stale=(ready,),
        **settings,
    )


try:
    prepare_data_dir(data_dir)
    run_foreground(
        data_dir, [process(**item) for item in json.loads(sys.argv[2])], on_ready=lambda: print("ready", flush=True)
    )
except DeployError as error:
    sys.exit(f"{type(error).__name__}: {error}")
