#!/bin/bash
# Runs the demo and puts what it printed into README.md, between the marks. The sample is never written by hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
sample=$(mktemp)
trap 'rm -f "$sample"' EXIT
make --no-print-directory demo | tee /dev/stderr >"$sample"
{
  sed '/<!-- sample:begin -->/q' README.md
  echo '```text'
  # Where the state is differs from machine to machine, and how long a build took is no news.
  sed -e "s#$PWD/##g" -e '/^   [0-9]* s \[/d' -e '/^   ✓ done in/d' -e 's/[[:space:]]*$//' "$sample"
  echo '```'
  sed -n '/<!-- sample:end -->/,$p' README.md
} >README.md.new
mv README.md.new README.md
