#!/usr/bin/env bash
# Fetches from a store that speaks as S3 does (moto), as Defender's export would fill it: objects that grow
# while they are fetched, a server that is killed in the middle of it, more objects than a list has in one
# answer, wrong credentials, a store that is away for a while.
#
#     tests/pull.sh target/debug/pintle
#
# Then the same of Azure's append blobs, with Azurite, if there is npm to install it.
#
# Needs bash and Python 3 with venv. moto is installed once, into ~/.cache/pintle/pull.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: tests/pull.sh PATH_TO_PINTLE" >&2
  exit 2
fi
here=$(realpath "$(dirname "$0")")/pull
source "$here/../venv.sh"
venv=$(venv pull "$here/requirements.txt")
# Azurite, Microsoft's own stand-in for Azure's Blob Storage, is of npm.
azurite="$HOME/.cache/pintle/azurite"
version=3.35.0
if command -v npm >/dev/null && [ "$(cat "$azurite/installed.txt" 2>/dev/null)" != "$version" ]; then
  rm -rf "$azurite"
  mkdir -p "$azurite"
  npm install --prefix "$azurite" --no-audit --no-fund --loglevel=error "azurite@$version" >/dev/null
  echo "$version" > "$azurite/installed.txt"
fi
set -- "$1"
if [ -f "$azurite/installed.txt" ]; then set -- "$1" "$azurite/node_modules/.bin/azurite-blob"; fi
exec "$venv/bin/python" "$here/run.py" "$@"
