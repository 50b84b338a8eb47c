#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.js and the WIT in wit/ (or $WIT).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm}
PATH=$PWD/node_modules/.bin:$PATH
command -v jco >/dev/null || { echo 'jco is missing: run `npm ci`' >&2; exit 3; }

# jco gets a copy of the WIT: it writes into it when a plugin imports modules of Node.
rm -rf build
mkdir build
cp -RL "$WIT" build/wit
jco componentize plugin.js --wit build/wit --world-name plugin \
    --backend qjs --backend-qjs-disable-async -o "$OUT"
