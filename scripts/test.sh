#!/bin/bash
# Builds everything, then runs the tests of each target in a process of its own: logging, metrics and tracing can be installed once a
# process, and a crash of one target's tests must not hide the others. Arguments go to `swift test` instead, for one run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=${JOBS:-2}

swift build -j "$jobs" --build-tests
# All tests are Swift Testing's; without XCTest, the last line is the sum of them.
if (($#)); then exec swift test -j "$jobs" --skip-build --disable-xctest "$@"; fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
for directory in Tests/*Tests; do
  target=${directory#Tests/}
  start=$SECONDS
  code=0
  timeout -k 10 900 swift test -j "$jobs" --skip-build --disable-xctest --filter "^$target\\." >"$log" 2>&1 || code=$?
  ok=$(grep -cE '^✔ Test [^r]' "$log" || true)
  # A run that died, or hung for a quarter of an hour, has failures that no line tells.
  bad=$(grep -E '^✘ Test ' "$log" | grep -cE ' failed after ' || true)
  if ((code)) && ((bad == 0)); then bad=1; fi
  if ((code == 0 && ok == 0)); then bad=1; echo "$target ran no test" >>"$log"; fi
  passed=$((passed + ok))
  failed=$((failed + bad))
  if ((bad)); then
    echo "==== $target: $bad failed ===="
    cat "$log"
  fi
  echo "$target: $ok passed, $bad failed, $((SECONDS - start)) s"
done
echo "$passed passed, $failed failed"
((failed == 0))
