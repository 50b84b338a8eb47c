#!/bin/sh
# Makes plugin.wasm (or $OUT) of plugin.lua and the WIT in wit/ (or $WIT), with what `cargo vendor` has
# put into sources/vendor/ (or $SOURCES).
set -eu
cd "$(dirname "$0")"
WIT=${WIT:-wit} OUT=${OUT:-plugin.wasm} SOURCES=${SOURCES:-./sources/vendor}
PATH=$PWD/.venv/bin:$PATH
for tool in wit-bindgen wasm-tools python-zig; do
    command -v "$tool" >/dev/null || { echo "$tool is missing; README.md says how to get it" >&2; exit 3; }
done
[ -d "$SOURCES" ] || { echo "$SOURCES is missing; README.md says how to get it" >&2; exit 3; }
lua=$SOURCES/lua-src/lua-5.4.9

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
    set -- "$@" "$lua/$part.c"
done
# Lua's errors jump, which in WebAssembly is an exception. Without a size, Zig's stack takes 16 MiB of
# the plugin's memory.
python-zig cc --target=wasm32-wasi -mexec-model=reactor -O2 -s -Wl,-z,stack-size=1048576 \
    -Wno-c23-extensions -Wno-unused-command-line-argument \
    -mcpu=generic+exception_handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false \
    -D_WASI_EMULATED_SIGNAL -I"$lua" -Ibuild \
    glue.c longjmp.s build/callhook.c build/callhook_component_type.o "$@" \
    -lwasi-emulated-signal -o build/core.wasm
# The adapter turns the system calls of C's library into those of components.
wasm-tools component new build/core.wasm -o "$OUT" --adapt \
    "$SOURCES/wasi-preview1-component-adapter-provider/artefacts/wasi_snapshot_preview1.reactor.wasm"
