#!/bin/bash
# The first thing Florin does for anyone: builds itself, brings the mesh up, moves £100.00 through four real processes, shows
# what happens when it must not or cannot be moved, proves all of it, and stops everything.
#   KEEP=1 scripts/demo.sh      leaves the mesh running
#   JOBS=4 scripts/demo.sh      compilers at a time (2)
# Ends with 0 only if everything was as it must be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=${KEEP:-}
jobs=${JOBS:-2}
florin=.build/release/florin
work=$(mktemp -d)
started=
background=

# --- saying things

step_number=0
step() {
  step_number=$((step_number + 1))
  printf '\n%d. %s\n' "$step_number" "$*"
}
show() { sed 's/^/   /' "$1"; }
check() { printf '   ✓ %s\n' "$*"; }
fail() {
  printf '\ndemo: NOT AS IT MUST BE: %s\n' "$*" >&2
  exit 1
}

# --- leaving

leave() {
  local code=$?
  trap - EXIT INT TERM
  if [ -n "$background" ]; then kill "$background" 2>/dev/null || true; fi
  rm -rf "$work"
  if [ -n "$started" ]; then
    if [ "$code" != 0 ] && [ "$code" -lt 128 ] && [ -n "$keep" ]; then
      echo "demo: the mesh is left running, to look at: $florin ps, $florin logs; stop it with: $florin down" >&2
    else
      if [ "$code" != 0 ]; then echo "demo: stopping everything (the logs stay in .florin/logs)" >&2; fi
      "$florin" down >/dev/null 2>&1 || true
    fi
  fi
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- building

# with_progress LOG COMMAND...: runs it quietly, tells how far it is, and shows the end of its log if it fails.
with_progress() {
  local log=$1 start=$SECONDS next=15 line
  shift
  "$@" >"$log" 2>&1 &
  background=$!
  while kill -0 "$background" 2>/dev/null; do
    sleep 1
    if [ -t 1 ] || ((SECONDS - start >= next)); then
      line=$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1 || true)
      if [ -t 1 ]; then printf '\r   %d s %s ' $((SECONDS - start)) "$line"; else printf '   %d s %s\n' $((SECONDS - start)) "$line"; fi
      next=$((SECONDS - start + 15))
    fi
  done
  if [ -t 1 ]; then printf '\r\033[K'; fi
  local code=0
  wait "$background" || code=$?
  background=
  if [ "$code" != 0 ]; then
    tail -n 30 "$log" >&2
    fail "$* ended with $code"
  fi
  check "done in $((SECONDS - start)) s"
}

# --- asking

# ask EXPECTED-EXIT-CODE COMMAND...: runs florin --json into $work/answer; the exit code must be as expected.
ask() {
  local expected=$1 code=0
  shift
  "$florin" "$@" --json >"$work/answer" 2>"$work/errors" || code=$?
  if [ "$code" != "$expected" ]; then
    cat "$work/answer" "$work/errors" >&2
    fail "florin $* ended with $code, not $expected"
  fi
}

# field NAME [FILE]: the first value of that name in an answer (florin writes one field a line).
field() {
  sed -n "s/^ *\"$1\": \"\{0,1\}\([^\"]*[^\",]\)\"\{0,1\},\{0,1\}\$/\1/p" "${2:-$work/answer}" | head -n 1
}

# must WHAT ACTUAL EXPECTED
must() {
  if [ "$2" != "$3" ]; then fail "$1 is '$2', not '$3'"; fi
  check "$1: $2"
}

balances() { # payer payee
  ask 0 balance "$payer"
  must "balance of the payer" "$(field available)" "$1"
  ask 0 balance "$payee"
  must "balance of the payee" "$(field available)" "$2"
  ask 0 balance clearing:GBP
  must "left in clearing" "$(field posted)" "0.00"
}

pay() { # exit-code amount key
  ask "$1" pay --from "$payer" --to "$payee" --amount "$2" --currency GBP --idempotency-key "$3"
}

trace() { # payment
  "$florin" trace "$1" >"$work/trace" || fail "florin trace $1 failed"
  show "$work/trace"
}

new_key() { cat /proc/sys/kernel/random/uuid; }

# --- what is shown

echo "Florin: one payment, end to end, on real parts."
scripts/setup.sh

step "Building the release (the first time takes some minutes)"
with_progress "$work/build.log" swift build -c release -j "$jobs"

step "Bringing the mesh up: certificates, a private PostgreSQL, migrations, four services"
# What an earlier build may have left running is not what is to be shown.
"$florin" down >/dev/null 2>&1 || true
started=yes
"$florin" up -d --wait 2>&1 | sed 's/^/   /' || fail "the mesh did not come up: see .florin/logs"
"$florin" ps >"$work/ps"
show "$work/ps"

step "Opening two accounts, and funding one with 250.00 GBP from outside"
run=$(date +%s)-$$
ask 0 account open --reference "demo-payer-$run" --currency GBP
payer=$(field account_id)
ask 0 account open --reference "demo-payee-$run" --currency GBP
payee=$(field account_id)
check "payer $payer, payee $payee"
ask 0 fund --account "$payer" --amount 250.00 --currency GBP
must "funding" "$(field outcome)" "posted"
balances 250.00 0.00

step "Paying 100.00 GBP"
key=$(new_key)
pay 0 100.00 "$key"
cp "$work/answer" "$work/first"
payment=$(field payment_id)
must "state" "$(field state)" "completed"
must "replayed" "$(field replayed)" "false"
balances 150.00 100.00

step "Sending the same payment again, with the same idempotency key"
pay 0 100.00 "$key"
must "payment" "$(field payment_id)" "$payment"
must "state" "$(field state)" "completed"
must "replayed" "$(field replayed)" "true"
if [ -z "$(field reply_hex)" ] || [ "$(field reply_hex)" != "$(field reply_hex "$work/first")" ]; then
  fail "the reply is not, byte for byte, the first one"
fi
check "the reply is the first one, byte for byte: SHA-256 $(field reply_sha256)"
balances 150.00 100.00

step "Trying to pay more than there is: 1000.00 GBP"
pay 1 1000.00 "$(new_key)"
declined=$(field payment_id)
must "state" "$(field state)" "declined"
must "reason" "$(field reason)" "insufficient_funds"
balances 150.00 100.00
ask 0 notifications list --payment "$declined"
if grep -q '"payment_id"' "$work/answer"; then fail "somebody was told of a payment that was declined"; fi
check "nothing moved, nobody was told"

step "Freezing the payee, and paying 25.00 GBP: the payer is debited, the ledger refuses the credit, the money comes back"
ask 0 account freeze "$payee"
must "status of the payee" "$(field status)" "frozen"
pay 1 25.00 "$(new_key)"
frozen=$(field payment_id)
must "state" "$(field state)" "compensated"
must "reason" "$(field reason)" "account_frozen"
trace "$frozen"
ask 0 statement "$payer" --limit 1000
must "entries of the payer for this payment: the debit and its reversal" "$(grep -c "\"reference_id\": \"$frozen\"" "$work/answer")" "2"
ask 0 account unfreeze "$payee"
must "status of the payee" "$(field status)" "open"
balances 150.00 100.00

step "Making notification refuse, and paying 30.00 GBP: everything that was done is undone"
ask 0 notifications suppress "$payee" --reason demo
pay 1 30.00 "$(new_key)"
refused=$(field payment_id)
must "state" "$(field state)" "compensated"
must "reason" "$(field reason)" "recipient_suppressed"
trace "$refused"
ask 0 trace "$refused"
must "steps that were undone" "$(grep -c '"event": "saga.compensation_result"' "$work/answer")" "2"
must "postings that undo: the payee's hold is released, his credit taken back, the payer's debit given back" \
  "$(grep -cE '"summary": "(release|reversal) of ' "$work/answer")" "3"
for account in "$payer" "$payee"; do
  ask 0 statement "$account" --limit 1000
  must "entries of $account for this payment: what was done, and its reversal" \
    "$(grep -c "\"reference_id\": \"$refused\"" "$work/answer")" "2"
done
ask 0 notifications unsuppress "$payee" --reason demo
balances 150.00 100.00

step "What happened to the 100.00 GBP?"
trace "$payment"

step "The books"
"$florin" statement "$payer" >"$work/statement"
show "$work/statement"
balances 150.00 100.00
code=0
"$florin" verify >"$work/verify" 2>&1 || code=$?
show "$work/verify"
if [ "$code" != 0 ]; then fail "florin verify ended with $code"; fi
check "every invariant holds"

if [ -n "$keep" ]; then
  trap - EXIT
  rm -rf "$work"
  printf '\nEverything is as it must be. The mesh is left running:\n'
  printf '   %s ps\n   %s balance %s\n   %s trace %s\nStop it with:\n   %s down\n' \
    "$florin" "$florin" "$payer" "$florin" "$payment" "$florin"
  exit 0
fi
step "Stopping everything"
"$florin" down 2>&1 | sed 's/^/   /'
started=
printf '\nEverything is as it must be.\n'
