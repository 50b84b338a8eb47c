#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.lua and the WIT in wit/ (or $WIT), with Lua's source in $LUA.
# $ADAPTER is what turns the system calls of C's library into those of components.
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm} LUA=${LUA:-lua-5.4.9/src}
ADAPTER=${ADAPTER:-wasi_snapshot_preview1.reactor.wasm}
PATH=$PWD/.venv/bin:$PATH
for tool in wit-bindgen wasm-tools python-zig; do
    command -v "$tool" >/dev/null || { echo "$tool is missing; README.md says how to get it" >&2; exit 3; }
done
for file in "$LUA/lua.h" "$ADAPTER"; do
    [ -f "$file" ] || { echo "$file is missing; README.md says how to get it" >&2; exit 3; }
done

# The bindings, with names that are shorter than those of the whole package.
rm -rf build
wit-bindgen c --world plugin --out-dir build --rename-world callhook \
    --rename callhook:plugin/types@1.0.0=callhook --rename callhook:plugin/about@1.0.0=about \
    --rename callhook:plugin/transform@1.0.0=transform --rename callhook:plugin/settings@1.0.0=settings \
    --rename callhook:plugin/log@1.0.0=log --rename callhook:plugin/directory@1.0.0=directory \
    --rename callhook:plugin/memory@1.0.0=memory "$WIT"
# Lua without its programs, and without the libraries of files, processes and C modules.
for part in lapi lcode lctype ldebug ldo ldump lfunc lgc llex lmem lobject lopcodes lparser lstate \
    lstring ltable ltm lundump lvm lzio lauxlib lbaselib lcorolib lmathlib lstrlib ltablib lutf8lib; do
    set -- "$@" "$LUA/$part.c"
done
# Lua's errors jump, which in WebAssembly is an exception.
python-zig cc --target=wasm32-wasi -mexec-model=reactor -O2 -s -Wno-c23-extensions -Wno-unused-command-line-argument \
    -mcpu=generic+exception_handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false \
    -D_WASI_EMULATED_SIGNAL -I"$LUA" -Ibuild \
    glue.c longjmp.s build/callhook.c build/callhook_component_type.o "$@" \
    -lwasi-emulated-signal -o build/core.wasm
wasm-tools component new --adapt wasi_snapshot_preview1="$ADAPTER" build/core.wasm -o "$OUT"
