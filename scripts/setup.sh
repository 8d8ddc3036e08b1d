#!/bin/bash
# Installs what building and running Florin needs and is not there: Debian packages, as root or with sudo. Says nothing if
# nothing is missing. Swift is not installed by this: it says where to get it.
#   scripts/setup.sh            what building, running and testing needs
#   scripts/setup.sh --protoc   also what generates code from proto/, which the codec tests do too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }

# package:what shows that it is there (a file, or a program in PATH)
needed=(
  "libssl-dev:/usr/include/openssl/ssl.h"
  "libpq-dev:/usr/include/postgresql/libpq-fe.h"
  "libprotobuf-c-dev:/usr/include/protobuf-c/protobuf-c.h"
  "pkg-config:pkg-config"
  "gcc:cc"
  "git:git"
  "ca-certificates:/etc/ssl/certs/ca-certificates.crt"
  "python3-venv:/usr/lib/python3*/ensurepip"
)

case "${1:-}" in
"") ;;
--protoc)
  needed+=(
    "protobuf-compiler:protoc"
    "protobuf-c-compiler:protoc-gen-c"
    "libprotobuf-dev:/usr/include/google/protobuf/compiler/plugin.proto"
  )
  ;;
*)
  say "usage: scripts/setup.sh [--protoc]"
  exit 2
  ;;
esac

is_there() {
  case $1 in
  /*) compgen -G "$1" >/dev/null ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

missing=()
for entry in "${needed[@]}"; do
  is_there "${entry#*:}" || missing+=("${entry%%:*}")
done
# Any PostgreSQL from 15 on will do; Debian 12 has 15.
has_postgres=
for directory in /usr/lib/postgresql/*/bin; do
  version=${directory#/usr/lib/postgresql/}
  version=${version%/bin}
  if [[ $version =~ ^[0-9]+$ ]] && ((version >= 15)) && [ -x "$directory/postgres" ] && [ -x "$directory/initdb" ]; then has_postgres=yes; fi
done
[ -n "$has_postgres" ] || missing+=(postgresql)

if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]}. This is not Debian: install them by your system's own means, then try again."
    exit 4
  fi
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
      say "missing: ${missing[*]}. As root: apt-get install ${missing[*]}"
      exit 4
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  # RUNLEVEL=1: Debian's packages do not start a server of their own; Florin runs one for itself.
  install() {
    "${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
      apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
  }
  # A machine that has never asked its mirrors knows no packages: ask, and try once more.
  if ! install >"$log" 2>&1; then
    if ! { "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update && install; } >>"$log" 2>&1; then
      tail -n 20 "$log" >&2
      say "apt-get could not install ${missing[*]}: mend what it says above, then try again"
      exit 4
    fi
  fi
fi

if ! command -v swift >/dev/null; then
  say "Swift is missing: install 6.2 or later from https://www.swift.org/install/linux/ and put its bin directory into PATH"
  exit 4
fi
version=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
major=${version%%.*}
minor=${version#*.}
minor=${minor%%.*}
if [ -n "$version" ] && ((major < 6 || (major == 6 && ${minor:-0} < 2))); then
  say "Swift $version is too old: Florin needs 6.2 or later (https://www.swift.org/install/linux/)"
  exit 4
fi
