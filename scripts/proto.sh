#!/bin/bash
# Generates C and Swift from proto/. Everything generated is committed; only who edits a .proto file needs to run this.
#   scripts/proto.sh            regenerates in place
#   scripts/proto.sh --check    regenerates beside, compares, and fails if the committed files are stale
# FLORIN_PROTOC_PLUGIN may name a built protoc-gen-florin; otherwise it is built here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

case "${1:-}" in
"" | --check) ;;
*) echo "usage: scripts/proto.sh [--check]" >&2; exit 2 ;;
esac

for need in protoc:protobuf-compiler protoc-gen-c:protobuf-c-compiler; do
  if ! command -v "${need%%:*}" >/dev/null; then
    echo "scripts/proto.sh: ${need%%:*} is missing: apt-get install protobuf-compiler protobuf-c-compiler libprotobuf-dev" >&2
    exit 4
  fi
done
google=
for directory in /usr/include /usr/local/include "$(dirname "$(dirname "$(command -v protoc)")")/include"; do
  if [ -f "$directory/google/protobuf/compiler/plugin.proto" ]; then google=$directory; break; fi
done
if [ -z "$google" ]; then
  echo "scripts/proto.sh: google/protobuf/compiler/plugin.proto is missing: apt-get install libprotobuf-dev" >&2
  exit 4
fi

plugin=${FLORIN_PROTOC_PLUGIN:-}
if [ -z "$plugin" ]; then
  echo "building protoc-gen-florin" >&2
  swift build -j 2 --product protoc-gen-florin >&2
  plugin=$(swift build --show-bin-path)/protoc-gen-florin
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# String fields reach protobuf-c as bytes: its C strings would lose their length and stop at NUL.
cat >"$work/protoc-gen-c" <<WRAPPER
#!/bin/bash
set -o pipefail
"$plugin" --strings-as-bytes | protoc-gen-c
WRAPPER
chmod +x "$work/protoc-gen-c"

# place FROM TO: headers of a tree of generated C go under TO/include, the rest under TO.
place() {
  (cd "$1" && find . -name '*.pb-c.[ch]' -print) | sed 's|^\./||' | sort | while read -r file; do
    case $file in *.h) target=$2/include/$file ;; *) target=$2/$file ;; esac
    mkdir -p "$(dirname "$target")"
    mv "$1/$file" "$target"
  done
}

swift_code() { # module parameters directory files...
  local parameters=$1 directory=$2
  shift 2
  mkdir -p "$out/$directory"
  protoc -I proto --plugin=protoc-gen-florin="$plugin" --florin_out="$parameters:$out/$directory" "$@"
}

out=$work/out
bindings=$out/Sources/Bindings
mkdir -p "$work/c" "$bindings/CFlorinProto/include" "$bindings/CDescriptor"

protoc -I "$google" --plugin=protoc-gen-c="$(command -v protoc-gen-c)" --c_out="$work/c" \
  google/protobuf/descriptor.proto google/protobuf/compiler/plugin.proto
place "$work/c" "$bindings/CDescriptor"

mapfile -t files < <(cd proto && find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort)
protoc -I proto --plugin=protoc-gen-c="$work/protoc-gen-c" --c_out="$work/c" "${files[@]}"
place "$work/c" "$bindings/CFlorinProto"
{
  echo "// Every message of proto/, as protobuf-c lays it out. Written by scripts/proto.sh."
  echo "#pragma once"
  for file in "${files[@]}"; do echo "#include \"${file%.proto}.pb-c.h\""; done
} >"$bindings/CFlorinProto/include/CFlorinProto.h"

api=()
for file in "${files[@]}"; do
  case $file in
  florin/wire/*) swift_code module=MeshProtocol Sources/Mesh/MeshProtocol/Generated "$file" ;;
  florin/test/*) swift_code module=ProtobufCodecTests Tests/ProtobufCodecTests/Generated "$file" ;;
  opentelemetry/*) swift_code module=OTLPExport,namespace=OTLPAPI Sources/Runtime/OTLPExport/Generated "$file" ;;
  *) api+=("$file") ;;
  esac
done
swift_code module=FlorinAPI Sources/API/FlorinAPI/Generated "${api[@]}"

# What is committed and generated: a file that no schema makes any more is stale too.
generated() {
  (cd "$1" && find Sources Tests \( -name '*.pb-c.[ch]' -o -name '*.pb.swift' -o -name CFlorinProto.h \) -not -path '*/.build/*' 2>/dev/null) | LC_ALL=C sort
}

if [ "${1:-}" = --check ]; then
  stale=0
  while read -r file; do
    if ! cmp -s "$out/$file" "$root/$file"; then
      echo "$file: stale or missing: it does not follow from proto/; run 'make proto' and commit" >&2
      stale=1
    fi
  done < <({ generated "$out"; generated "$root"; } | LC_ALL=C sort -u)
  if [ $stale = 0 ]; then echo "generated code follows from proto/"; fi
  exit $stale
fi

comm -13 <(generated "$out") <(generated "$root") | while read -r file; do rm -v "$root/$file"; done
# Only what changed is touched, so that nothing else is compiled again.
generated "$out" | while read -r file; do
  if ! cmp -s "$out/$file" "$root/$file"; then
    mkdir -p "$(dirname "$root/$file")"
    cp "$out/$file" "$root/$file"
    echo "$file"
  fi
done
