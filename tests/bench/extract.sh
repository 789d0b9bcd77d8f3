#!/bin/sh
# ftrun extract over 2,000 and 20,000 texts of 20 articles, 100 questions at once, at a server that takes 100 ms for each;
# then the same again, over the answers that are kept:
#   tests/bench/extract.sh BUILD
# BUILD holds ftrun and tests/bench_server (ninja -C BUILD ftrun bench_server).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "$1")
. "$here/slow_server.sh"
cd "$work"
export OPENAI_API_KEY=sk-bench-1234567890 OPENAI_BASE_URL="$url" NO_PROXY='*'
cat >bench.lua <<'LUA'
return ft.recipe {
  name = "bench", base_model = "gpt-4o-mini-2024-07-18",
  dataset = ft.jsonl { path = "texts.jsonl", key = "id", example = function() return nil end },
  extract = { prompt = function(row) return ft.prompt { system = "Find.", user = row.text } end },
}
LUA
for count in 2000 20000; do
  awk -v n="$count" 'BEGIN { for (i = 1; i <= n; i++) { printf "{\"id\": \"%d\", \"text\": \"", i
    for (k = 1; k <= 20; k++) printf "Стаття %d. Номер %d. Текст статті про щось.\\n", k, i
    print "\"}" } }' >texts.jsonl
  for turn in asked kept; do
    python3 "$here/measure.py" "$build/ftrun" extract bench.lua texts.jsonl --model ft:x --at-once 100 --quiet \
      --output out.jsonl | awk -v what="$count texts, $turn:" 'NF { printf "%-22s %s s, processor %s + %s s, peak %s MiB, exit %s\n",
        what, $1, $2, $3, $4, $5 }'
    [ "$(wc -l <out.jsonl)" -eq "$count" ]
  done
done
