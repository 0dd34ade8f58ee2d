#!/usr/bin/env bash
# The main job, as README promises it: `pintle dev` starts, the commands it prints are run as they
# are printed and answer, over http and https; real Python clients get a token and ask both
# questions; it ends cleanly. Says what it checked and `N passed, N failed`.
#
#     tests/main_job.sh target/debug/pintle
#
# Needs bash, curl and Python 3 with venv. The Python clients are installed once, into
# ~/.cache/pintle/venv.
set -euo pipefail

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
  echo "usage: tests/main_job.sh PATH_TO_PINTLE" >&2
  exit 2
fi
pintle=$(realpath "$1")
clients=$(realpath "$(dirname "$0")")/clients
source "$clients/../venv.sh"
scratch=$(mktemp -d)
server=

finish() {
  if [ -n "$server" ]; then kill -KILL "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT

passed=0 failed=0
check() { # what it is, then the command that shows it
  local what=$1
  shift
  if "$@" >"$scratch/said" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $what"
  else
    failed=$((failed + 1))
    echo "FAILED  $what"
    sed 's/^/        /' "$scratch/said"
  fi
}

# A member of the line that `pintle dev --json` prints, such as `curl machines`.
told() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, name: value[name], sys.argv[2:], json.load(open(sys.argv[1]))))' \
    "$scratch/ready.json" "$@"
}

# Lines as they were printed, in a shell that knows nothing else. What the last one prints is the
# answer; ${2:-} may be settings for curl, which the lines cannot have.
in_fresh_shell() { # lines, a .curlrc
  local home="$scratch/home"
  mkdir -p "$home"
  printf '%s\n' "${2:-}" >"$home/.curlrc"
  env -i PATH="$PATH" HOME="$home" sh -c "$1"
}

# The last answer is a 200 with at least one entity of that kind.
answers() { # kind, token line, question line, a .curlrc
  in_fresh_shell "$2"$'\n'"$3" "dump-header = \"$scratch/headers\""$'\n'"${4:-}" >"$scratch/body" &&
    python3 -c '
import json, sys
kind, headers, body = sys.argv[1], open(sys.argv[2]).readline(), open(sys.argv[3]).read()
assert headers.split()[1] == "200", (headers, body[:300])
answer = json.loads(body)
assert answer["@odata.context"].endswith("#" + kind), answer["@odata.context"]
assert answer["value"], "an empty list"
key = {"Machines": "id", "Files": "sha1"}[kind]
assert all(entity[key] for entity in answer["value"]), answer["value"]
' "$1" "$scratch/headers" "$scratch/body"
}

is_token() { # token line, a .curlrc
  in_fresh_shell "$1"$'\n''printf %s "$token"' "${2:-}" | grep -Ex '[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+'
}

# The line goes to the http listener; the same over https.
over_https() { printf '%s' "${1//"$(told http)"/"$(told https)"}"; }

TMPDIR="$scratch" "$pintle" dev --fixed --json --http 127.0.0.1:0 --https 127.0.0.1:0 \
  >"$scratch/ready.json" 2>"$scratch/log" </dev/null &
server=$!
for _ in $(seq 1 600); do
  if [ -s "$scratch/ready.json" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.1
done
check "pintle dev is ready" told data
if [ "$failed" -gt 0 ]; then
  cat "$scratch/log"
  exit 1
fi
data=$(told data)
token=$(told curl token)
check "http: the printed line gets a token" is_token "$token"
check "http: which machines have seen this file" answers Machines "$token" "$(told curl machines)"
check "http: which files are in this alert" answers Files "$token" "$(told curl files)"

trusted="cacert = \"$(told ca)\""
token=$(over_https "$token")
check "https: a token, trusting the printed CA" is_token "$token" "$trusted"
check "https: which machines have seen this file" answers Machines "$token" "$(over_https "$(told curl machines)")" "$trusted"
check "https: which files are in this alert" answers Files "$token" "$(over_https "$(told curl files)")" "$trusted"
is_refused() { # 60: the certificate cannot be verified
  local code=0
  in_fresh_shell "curl -sS $(told https)/api/machines" || code=$?
  [ "$code" -eq 60 ]
}
check "https: who does not trust the CA is not let in" is_refused

ends_cleanly() {
  local code=0
  kill -TERM "$server"
  wait "$server" || code=$?
  server=
  cat "$scratch/log"
  [ "$code" -eq 0 ] || { echo "exit code $code"; return 1; }
  [ ! -e "$data" ] || { echo "$data is left over"; return 1; }
}
[ -d "$data" ] || { echo "$data is not there while it runs"; exit 1; }
check "pintle dev ends with 0 and removes its folder" ends_cleanly

python_clients() { venv=$(venv venv "$clients/requirements.txt"); }
check "the pinned Python clients are installed" python_clients
for script in msal_and_azure_identity elasticsearch_documents; do
  if "$venv/bin/python" "$clients/$script.py" "$pintle" | tee -a "$scratch/clients"; then
    :
  else
    failed=$((failed + 1))
    echo "FAILED  the Python clients of $script"
  fi
done
# Their checks count as ours.
passed=$((passed + $(grep -c '^ok ' "$scratch/clients" || true)))

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
