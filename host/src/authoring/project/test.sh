#!/bin/sh
# Gives plugin.wasm the events of cases/*/event.json and holds what it makes of them against
# cases/*/expect.json. For a new case: make a folder with an event.json, have the other file written
# by `callhook plugin test plugin.wasm --write`, and read it.
set -eu
cd "$(dirname "$0")"
exec "${CALLHOOK:-callhook}" plugin test plugin.wasm
