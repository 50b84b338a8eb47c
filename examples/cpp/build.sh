#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.cpp and the WIT in wit/ (or $WIT).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm}
PATH=$PWD/.venv/bin:$PATH
for tool in wit-bindgen wasm-tools python-zig; do
    command -v "$tool" >/dev/null || { echo "$tool is missing; README.md says how to get it" >&2; exit 3; }
done

# The bindings, with names that are shorter than those of the whole package.
rm -rf build
wit-bindgen c --world plugin --out-dir build --rename-world callhook \
    --rename callhook:plugin/types@1.0.0=callhook --rename callhook:plugin/about@1.0.0=about \
    --rename callhook:plugin/transform@1.0.0=transform --rename callhook:plugin/settings@1.0.0=settings \
    --rename callhook:plugin/log@1.0.0=log --rename callhook:plugin/directory@1.0.0=directory \
    --rename callhook:plugin/memory@1.0.0=memory "$WIT"
python-zig cc --target=wasm32-wasi -Os -c build/callhook.c -o build/callhook.o
# Without a size, Zig's stack takes 16 MiB of the plugin's memory.
python-zig c++ --target=wasm32-wasi -mexec-model=reactor -Os -s -Wl,-z,stack-size=65536 \
    -std=c++20 -fno-exceptions -fno-rtti -Wall -Wextra -Ibuild plugin.cpp build/callhook.o \
    build/callhook_component_type.o -o build/core.wasm
wasm-tools component new build/core.wasm -o "$OUT"
