#!/usr/bin/env bash
# 20,000 requests that follow the server's own OpenAPI document, and many that break it: none may be
# answered with a 5xx, or with anything that the document does not have. Prints what Schemathesis found.
#
#     tests/schemathesis.sh target/debug/pintle
#
# Needs bash and Python 3 with venv. Schemathesis is installed once, into ~/.cache/pintle/schemathesis.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: tests/schemathesis.sh PATH_TO_PINTLE" >&2
  exit 2
fi
here=$(realpath "$(dirname "$0")")/schemathesis
source "$here/../venv.sh"
venv=$(venv schemathesis "$here/requirements.txt")
exec "$venv/bin/python" "$here/run.py" "$1"
