#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.zig and the WIT in wit/ (or $WIT).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm}
PATH=$PWD/.venv/bin:$PATH
for tool in wit-bindgen wasm-tools python-zig; do
    command -v "$tool" >/dev/null || { echo "$tool is missing; README.md says how to get it" >&2; exit 3; }
done

# The bindings for C, with names that are shorter than those of the whole package.
rm -rf build
wit-bindgen c --world plugin --out-dir build --rename-world callhook \
    --rename callhook:plugin/types@1.0.0=callhook --rename callhook:plugin/about@1.0.0=about \
    --rename callhook:plugin/transform@1.0.0=transform --rename callhook:plugin/settings@1.0.0=settings \
    --rename callhook:plugin/log@1.0.0=log --rename callhook:plugin/directory@1.0.0=directory \
    --rename callhook:plugin/memory@1.0.0=memory "$WIT"
python-zig translate-c -lc -target wasm32-wasi build/callhook.h > build/callhook.zig
python-zig build-exe build/callhook.c build/callhook_component_type.o -lc \
    -target wasm32-wasi -mexec-model=reactor -fno-entry -O ReleaseSmall --stack 65536 \
    --dep callhook -Mroot=plugin.zig -target wasm32-wasi -O ReleaseSmall -Mcallhook=build/callhook.zig \
    -femit-bin=build/core.wasm
wasm-tools component new build/core.wasm -o "$OUT"
