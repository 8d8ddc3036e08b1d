#!/bin/bash
# Builds everything and runs the tests. Arguments go to `swift test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=${JOBS:-2}

swift build -j "$jobs" --build-tests
# All tests are Swift Testing's; without XCTest, the last line is the sum of them.
exec swift test -j "$jobs" --skip-build --disable-xctest "$@"
