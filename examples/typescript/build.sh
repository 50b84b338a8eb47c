#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.ts and the WIT in wit/ (or $WIT), after checking the types.
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm}
PATH=$PWD/node_modules/.bin:$PATH
command -v jco >/dev/null || { echo 'jco is missing: run `npm ci`' >&2; exit 3; }

# jco gets a copy of the WIT: it writes into it when a plugin imports modules of Node.
rm -rf build types
mkdir build
cp -RL "$WIT" build/wit
jco guest-types build/wit --world-name plugin --out-dir types
tsc --project .
jco componentize plugin.ts --wit build/wit --world-name plugin \
    --bundle-config rolldown.config.mjs --backend qjs --backend-qjs-disable-async -o "$OUT"
