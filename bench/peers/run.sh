#!/usr/bin/env bash
# Pintle and its peers: the same data, the same questions, one run. Prints tables, and leaves them with plots in
# FOLDER (`report.md`, `*.svg`).
#
#     cargo build --release -p pintle-bench
#     bench/peers/run.sh target/release/pintle-bench FOLDER [--part 10]
#
# Needs bash, Python 3 with venv, and PostgreSQL; the other peers are installed once, into ~/.cache/pintle/peers.
# As root it runs PostgreSQL as `nobody`, who must be able to reach FOLDER. ROUNDS and SECONDS_EACH in the
# environment say how often and how long each question is asked.
set -euo pipefail

if [ $# -lt 2 ] || [ ! -x "$1" ]; then
  echo "usage: bench/peers/run.sh PATH_TO_PINTLE_BENCH FOLDER [--part N]" >&2
  exit 2
fi
here=$(realpath "$(dirname "$0")")
source "$here/../../tests/venv.sh"
venv=$(venv peers "$here/requirements.txt")
program=$(realpath "$1")
folder=$(realpath -m "$2")
"$program" peers "$folder" "${@:3}"
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$here/run.py" "$program" "$folder" | tee "$folder/report.md"
