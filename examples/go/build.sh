#!/bin/sh
# Makes plugin.wasm (or $OUT) of the two packages export_* and the WIT in wit/ (or $WIT), with what
# `cargo vendor` has put into sources/vendor/ (or $SOURCES).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm} SOURCES=${SOURCES:-./sources/vendor}
PATH=$PWD/.venv/bin:$PATH
for tool in wit-bindgen wasm-tools go; do
    command -v "$tool" >/dev/null || { echo "$tool is missing; README.md says how to get it" >&2; exit 3; }
done
[ -d "$SOURCES" ] || { echo "$SOURCES is missing; README.md says how to get it" >&2; exit 3; }

# The bindings: packages beside ours, and the main package.
rm -rf build
wit-bindgen go --world plugin --out-dir build "$WIT"
rm build/go.mod
cp -R build/. .
# The module that the bindings import is part of what makes them.
go mod edit -replace go.bytecodealliance.org/pkg="$SOURCES/wit-bindgen-go/src/pkg"
go mod tidy
# The bindings reach into Go's runtime, which the linker does not like.
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-checklinkname=0 -s -w' \
    -o build/core.wasm .
wasm-tools component embed --world plugin "$WIT" build/core.wasm -o build/embedded.wasm
# The adapter turns Go's system calls into those of components.
wasm-tools component new build/embedded.wasm -o "$OUT" --adapt \
    "$SOURCES/wasi-preview1-component-adapter-provider/artefacts/wasi_snapshot_preview1.reactor.wasm"
