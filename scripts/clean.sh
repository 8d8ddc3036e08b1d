#!/bin/bash
# Stops what runs here and removes what was built, run and generated; nothing that is committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for florin in .build/release/florin .build/debug/florin; do
  if [ -x "$florin" ]; then
    for state in .florin*; do
      # --volumes: as root the data may live elsewhere (see .florin/postgres/elsewhere).
      if [ -d "$state" ]; then "$florin" down --volumes --state-dir "$state"; fi
    done
    break
  fi
done
rm -rf .build .swiftpm .florin* certs/dev .venv
