#!/bin/bash
# Everything a machine can say about style and structure. Each finding names file, line, and remedy.
#   scripts/check.sh                        all rules; exit 1 if one is broken
#   scripts/check.sh --only RULE[,RULE]     some of them (scripts/check.sh --list names them)
#   scripts/check.sh --self-test            plants one violation of each kind in a copy of the tree: is it caught?
#   scripts/check.sh --release-migrations   adds the migrations that are new to scripts/migrations.lock; changes nothing there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for need in python3:python3 swift:"Swift 6.2 or later, from https://swift.org/install"; do
  if ! command -v "${need%%:*}" >/dev/null; then
    echo "scripts/check.sh: ${need%%:*} is missing: install ${need#*:}" >&2
    exit 4
  fi
done
exec python3 -B scripts/tidy "$@"
