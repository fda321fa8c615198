"""Runs the embedded stack with the stand-in product: `run_embedded.py DATA_DIR PORT [tls] [without-nginx]`."""

import os
import sys
from pathlib import Path

from haven_deploy.certificates import ensure_certificates
from haven_deploy.control import run_foreground
from haven_deploy.data_dir import prepare_data_dir
from haven_deploy.embedded import EmbeddedOptions, embedded_stack
from haven_deploy.errors import DeployError
from haven_deploy.nginx import find_nginx

try:
    data_dir = prepare_data_dir(Path(sys.argv[1]))
    tls = "tls" in sys.argv
    certificates = ensure_certificates(data_dir / "tls", ["localhost"], ["127.0.0.1"]) if tls else None
    options = EmbeddedOptions(
        data_dir=data_dir,
        port=int(sys.argv[2]),
        certificate=certificates and certificates.certificate,
        key=certificates and certificates.key,
        env={**os.environ, "DATA": str(data_dir)},
        nginx=None if "without-nginx" in sys.argv else find_nginx(),
    )
    run_foreground(data_dir, embedded_stack(options))
except DeployError as error:
    sys.exit(f"{type(error).__name__}: {error}")
