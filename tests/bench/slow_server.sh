# Sourced by the benches that ask: a folder $work, and a server below $build that takes 100 ms for each answer, at $url;
# both are gone when the script ends.
work=$(mktemp -d "${TMPDIR:-/tmp}/ftrun-bench-XXXXXX")
"$build/tests/bench_server" 100 >"$work/port" &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
while [ ! -s "$work/port" ]; do sleep 0.1; done
url=http://127.0.0.1:$(cat "$work/port")/v1
