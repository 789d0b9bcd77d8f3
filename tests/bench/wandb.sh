#!/bin/sh
# History rows of 8 metrics into an offline W&B run, by ftrun and by W&B's own SDK; then what logging costs a real run:
#   tests/bench/wandb.sh BUILD [ROWS]
# BUILD holds ftrun and tests/ftrun_tests. PYTHON: an interpreter with wandb (default: tests/interop/setup.sh makes one
# below /tmp). RUNS: of ours (3). PEER=no leaves the SDK out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
build=$(realpath "$1")
rows=${2:-1000000}
python=${PYTHON:-/tmp/ftrun-interop-venv/bin/python}
peer=${PEER:-yes}
[ "$peer" = no ] || [ -n "${PYTHON:-}" ] || "$source/tests/interop/setup.sh" /tmp/ftrun-interop-venv
work=$(mktemp -d "${TMPDIR:-/tmp}/ftrun-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

show() { # NAME COMMAND...: what the program says itself, and the figures of measure.py
  name=$1
  shift
  python3 "$here/measure.py" "$@" >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
  awk -v name="$name" '/ rows |"rows"/ { said = $0 } /^[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+ [0-9]+$/ { split($0, f, " ") }
    END { printf "%-14s %s; in all %s s, processor %s + %s s, peak %s MiB\n", name ":", said, f[1], f[2], f[3],
      f[4] }' "$work/said"
}
ours() { # ROWS WAY
  FTRUN_LUA="$here:$source/tests:$source/lua" FTRUN_BENCH="$1 $2 $work" show "ftrun $2" "$build/tests/ftrun_tests" logging
}

uptime
for _ in $(seq "${RUNS:-3}"); do
  ours "$rows" bulk
  ours "$rows" live
done
ours $((rows / 10)) live # memory: a tenth
if [ "$peer" != no ]; then
  mkdir "$work/sdk"
  show SDK "$python" "$here/wandb_peer.py" "$rows" "$work/sdk"
fi
uptime

# a real run of many small steps, logged and not, in turn
cp -r "$source/recipes" "$work/recipes"
cd "$work"
for i in $(seq "${RUNS:-3}"); do
  for enabled in false true; do
    WANDB_ENABLED=$enabled WANDB_MODE=offline python3 "$here/measure.py" "$build/ftrun" --local --yes --new --quiet \
      --set hyperparameters.n_epochs=20 --set hyperparameters.batch_size=1 recipes/from-jsonl.lua >said 2>&1 ||
      { cat said; exit 1; }
    awk -v enabled="$enabled" '/^[0-9.]+ [0-9.]+ [0-9.]+ [0-9]+ [0-9]+$/ { split($0, f, " ") }
      END { printf "a run, logged: %-5s  in all %s s, processor %s + %s s, peak %s MiB\n", enabled, f[1], f[2], f[3],
        f[4] }' said
  done
done
wc -l .ftrun/runs/*/metrics.jsonl | tail -1
