#!/bin/sh
# The OCI distribution conformance suite against Haven. Zero failures, errors and skips, or exit status 1.
#
#   .ci/conformance.sh                                     filesystem storage, the released specification and its main branch
#   .ci/conformance.sh --storage s3                        the same with blobs on a real S3 server (SeaweedFS)
#   .ci/conformance.sh --registry URL,USER,PASSWORD        a registry that runs already
#
# The suite is built once, at a pinned version, by tests/support/provision.py (needs Go). PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ -x .venv/bin/python ] && PYTHON=.venv/bin/python
fi
"$PYTHON" tests/support/provision.py >/dev/null
exec "$PYTHON" -m tests.support.conformance "$@"
