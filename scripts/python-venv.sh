#!/bin/bash
# Makes .venv (ignored by git) with what scripts/python-requirements.txt pins, unless it is there already.
# Prints the path of its python. Safe to run at the same time from several places.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements=scripts/python-requirements.txt
python=$PWD/.venv/bin/python
stamp=.venv/requirements.installed

fail() {
  echo "scripts/python-venv.sh: $1" >&2
  exit 4
}

command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3 python3-venv"
mkdir -p .venv || fail "$PWD/.venv cannot be made: is the directory writable?"
exec 9>.venv/.lock
flock 9
if [ ! -x "$python" ] || ! cmp -s "$requirements" "$stamp"; then
  {
    python3 -m venv .venv || fail "no virtual environment could be made: apt-get install python3-venv"
    "$python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" ||
      fail "pip could not install what $requirements pins: is a package index reachable?"
  } >&2
  cp "$requirements" "$stamp"
fi
echo "$python"
