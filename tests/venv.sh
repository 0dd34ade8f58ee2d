# shellcheck shell=bash
# For the scripts beside it, to be read with `source`: clients written in Python, each in a folder of their own.

# venv NAME REQUIREMENTS: prints the folder in which these are installed, once a machine.
venv() {
  local folder="$HOME/.cache/pintle/$1"
  if ! cmp -s "$2" "$folder/installed.txt"; then
    rm -rf "$folder" &&
      python3 -m venv "$folder" >&2 &&
      "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$2" >&2 &&
      # Last, so that an installation that broke off is done again.
      cp "$2" "$folder/installed.txt" || return 1
  fi
  echo "$folder"
}
