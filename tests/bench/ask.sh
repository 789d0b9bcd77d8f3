#!/bin/sh
# 2,000 chat requests, 100 at once, to a server that takes 100 ms for each, by ftrun and by the official AsyncOpenAI:
#   tests/bench/ask.sh BUILD [COUNT]
# BUILD holds tests/ftrun_tests and tests/bench_server (ninja -C BUILD ftrun_tests bench_server). PYTHON: an interpreter
# with openai (default: tests/interop/setup.sh makes one below /tmp). RUNS: of each (3). PEER=no leaves Python out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$(realpath "$1")
count=${2:-2000}
python=${PYTHON:-/tmp/ftrun-interop-venv/bin/python}
peer=${PEER:-yes}
[ "$peer" = no ] || [ -n "${PYTHON:-}" ] || "$source/tests/interop/setup.sh" /tmp/ftrun-interop-venv
. "$here/slow_server.sh"

show() { # NAME COMMAND...: what the program says itself, and the figures of measure.py
  name=$1
  shift
  python3 "$here/measure.py" "$@" >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
  awk -v name="$name" '/answers in/ { said = $0 } /^[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+ [0-9]+$/ { split($0, f, " ") }
    END { printf "%-18s %s; in all %s s, processor %s + %s s, peak %s MiB, exit %s\n", name ":", said, f[1], f[2], f[3],
      f[4], f[5] }' "$work/said"
}
ours() { # COUNT
  FTRUN_LUA="$here:$source/tests:$source/lua" FTRUN_BENCH="$url $1 100" \
    show "ftrun $1" "$build/tests/ftrun_tests" asking
}

uptime
for _ in $(seq "${RUNS:-3}"); do
  ours "$count"
  [ "$peer" = no ] || show "AsyncOpenAI $count" "$python" "$here/ask_peer.py" "$url" "$count" 100
done
ours $((10 * count)) # memory: ten times as many
[ "$peer" = no ] || show "import openai" "$python" -c "import openai"
uptime
