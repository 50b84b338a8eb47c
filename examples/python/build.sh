#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.py and the WIT in wit/ (or $WIT).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm}
PATH=$PWD/.venv/bin:$PATH
command -v componentize-py >/dev/null || {
    echo 'componentize-py is missing: python3 -m venv .venv && .venv/bin/pip install -r requirements.txt' >&2
    exit 3
}

# Without --stub-wasi, Python asks for sockets, which no plugin gets.
componentize-py --wit-path "$WIT" --world plugin componentize --stub-wasi plugin -o "$OUT"
