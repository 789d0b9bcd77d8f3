#!/bin/sh
# The demonstration: from a PostgreSQL full of laws to a trained model, on this machine alone. make demo calls it as
#   tests/postgres.sh tests/demo.sh build/ftrun
# so DATABASE_URL is a private server, which is gone afterwards.
set -eu
program=$(realpath "$1")
source=$(realpath "$(dirname "$0")/..")
say() { printf '\n== %s\n' "$*"; }
# psql on a terminal takes the encoding from the locale, which need not be one with Ukrainian letters
query() { LC_ALL=C.UTF-8 psql -X -q -P pager=off -v ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }

# runs and models belong to the demonstration, not into the clone
work=$(mktemp -d "${TMPDIR:-/tmp}/ftrun-demo-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 129' HUP
trap 'exit 143' TERM
cp -R "$source/recipes" "$work/"
cd "$work"

say "Real Ukrainian laws into a real PostgreSQL"
recipes/data/load.sh

say "ftrun --local recipes/legal-extraction.lua"
"$program" --local --yes recipes/legal-extraction.lua

say "A law that the model never saw: its labels, and what the model finds"
# the validation file's line is the question and the expected answer; PostgreSQL reads the JSON
query -c "CREATE TABLE validation (line json)" \
  -c "\\copy validation FROM '$(echo .ftrun/runs/*/validation.jsonl)' CSV QUOTE e'\\x01' DELIMITER e'\\x02'" \
  -c "CREATE TABLE question AS SELECT * FROM (
        SELECT line->'messages'->1->>'content' AS text, (line->'messages'->2->>'content')::json AS expected FROM validation) v
      ORDER BY json_array_length(expected->'elements') BETWEEN 5 AND 12 DESC, text LIMIT 1"
query -A -t -c "SELECT text FROM question" >question.txt
"$program" chat --quiet --system "$(cat recipes/prompts/legal-extraction.txt)" <question.txt >answer.json
query -P footer=off -P linestyle=unicode -v answer="$(cat answer.json)" <<'SQL'
WITH numbers AS (
  SELECT side, what, value, min(place) AS place FROM question,
    LATERAL (VALUES ('expected', expected), ('found', :'answer'::json)) AS sides (side, doc),
    LATERAL (
      SELECT e->>'type', e->>'number', place FROM json_array_elements(doc->'elements') WITH ORDINALITY AS t (e, place)
      UNION ALL
      SELECT r->>'type', r->>'target_nreg', 1000 + place
        FROM json_array_elements(doc->'relations') WITH ORDINALITY AS t (r, place)) AS l (what, value, place)
  GROUP BY side, what, value)
SELECT coalesce(e.what, f.what) AS "what", coalesce(e.value, '-') AS "expected", coalesce(f.value, '-') AS "found"
FROM (SELECT * FROM numbers WHERE side = 'expected') e
FULL JOIN (SELECT * FROM numbers WHERE side = 'found') f USING (what, value)
ORDER BY coalesce(e.place, f.place);
SQL

say "Is it better than before? On rows that no training has seen"
"$program" eval
printf '\n.env now says:\n'
cat .env

say "The model at work: unprocessed acts, and what it finds, back in the database"
query -c "CREATE TABLE waiting AS SELECT id FROM legal_acts WHERE extracted_elements IS NULL AND text IS NOT NULL"
"$program" extract recipes/legal-extraction.lua --write
query -P footer=off -P linestyle=unicode -c "SELECT nreg, left(title, 30) AS title, json_array_length(extracted_elements->'elements') AS elements,
  json_array_length(extracted_elements->'relations') AS relations, is_processed FROM legal_acts JOIN waiting USING (id) ORDER BY id"

say "What next"
cat <<TEXT
This was ftrun's local learner: free, private, offline - a baseline that a paid
model must beat.

The demonstration's folder is gone. To keep a run and its model, in ./.ftrun,
without a database:

  build/ftrun --local recipes/from-jsonl.lua
  build/ftrun chat "Стаття 5. Право власності"

With your own database and key: put DATABASE_URL and OPENAI_API_KEY into .env

  build/ftrun plan recipes/legal-extraction.lua    what it would send, and costs
  build/ftrun recipes/legal-extraction.lua         asks, and runs

Edit a recipe and run it again: no recompiling. README.md tells the rest.
TEXT
