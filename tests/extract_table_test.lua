-- Runs under tests/postgres.sh: rows out of a database, results back into it.
local t = require "harness"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local postgres = require "ft.postgres"
local program = require "program"
local recipe = require "ftrun.recipe"
local tables = require "ftrun.extract.table"

local ENV = { DATABASE_URL = os.getenv "DATABASE_URL" }

local connection

local function query(sql, params)
  connection = connection or assert(postgres.connect { conninfo = "" })
  local result, message = connection:query(sql, params)
  if not result then error(message, 2) end
  return result.rows
end

-- Its rows are counted when they change: a row that is written twice can be seen.
local function make_table()
  query "DROP TABLE IF EXISTS acts"
  query [[CREATE TABLE acts (id integer PRIMARY KEY, text text, result json, done boolean DEFAULT false,
    writes integer NOT NULL DEFAULT 0)]]
  query [[CREATE OR REPLACE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END']]
  query "CREATE TRIGGER count_writes BEFORE UPDATE ON acts FOR EACH ROW EXECUTE FUNCTION count_writes()"
  query [[INSERT INTO acts SELECT i, 'Стаття ' || 100 + i * 7 || '. Текст закону, частина ' || i || '.'
    FROM generate_series(1, 250) i]]
end

local FROM = 'from = { query = "SELECT id, text FROM acts WHERE result IS NULL ORDER BY id" }'
local WRITE = 'write = { table = "acts", column = "result", set = { done = true } }'

local function recipe_with(from, write)
  local url = '= { url = ft.env "DATABASE_URL",'
  local extract = ([[
  extract = {
    prompt = function(row) return ft.prompt { system = "Find the number.", user = row.text } end,
    %s,
    %s,
  },
}
]]):format((from:gsub("= {", url, 1)), (write:gsub("= {", url, 1)))
  return (program.RECIPE:gsub("}%s*$", function() return extract end))
end

-- Runs body(dir, start) with a trained model; start(...) is ftrun extract toy.lua.
local function with_model(text, body)
  make_table()
  program.in_project(function(dir)
    local r = program.run(dir, ENV, "--local", "--quiet", "toy.lua")
    t.eq(r.code, 0, r.err)
    body(dir, function(...) return program.run(dir, ENV, "extract", "toy.lua", ...) end)
  end, 40, text)
end

local function counts()
  local row = query [[SELECT count(*) AS all, count(result) AS results, count(*) FILTER (WHERE done) AS done,
    sum(writes) AS writes, max(writes) AS most FROM acts]][1]
  return { row.results, row.done, row.writes, row.most }
end

t.test("rows of the query are asked about and written back once; a second start finds nothing to do", function()
  with_model(recipe_with(FROM, WRITE), function(dir, start)
    local r = start("--dry-run", "--write", "--json")
    t.eq({ r.code, program.result(r).rows, program.result(r).pieces }, { 0, 250, 250 }, r.err)
    t.eq(counts(), { "0", "0", "0", "0" })
    r = start("--limit", "20", "--quiet")
    t.eq({ r.code, select(2, r.out:gsub("\n", "")) }, { 0, 20 }, r.err)
    t.eq(counts(), { "0", "0", "0", "0" }) -- nothing is written that was not asked for
    r = start("--write", "--json")
    t.eq({ r.code, program.result(r).written, program.result(r).earlier }, { 0, 250, 20 }, r.err)
    t.eq(counts(), { "250", "250", "250", "1" })
    t.eq(query("SELECT result->>'number' AS n FROM acts WHERE id = 3")[1].n, "121")
    r = start("--write", "-o", "out.jsonl")
    t.eq({ r.code, r.out, fs.read(dir .. "/out.jsonl") }, { 0, "", "" }, r.err)
    t.has(r.err, "no row to ask about")
    t.eq(counts(), { "250", "250", "250", "1" })
  end)
end)

t.test("what has a result is not asked and stays, but with --overwrite; the same again changes nothing", function()
  local from = 'from = { query = "SELECT id, text FROM acts WHERE id <= 10 ORDER BY id" }'
  with_model(recipe_with(from, WRITE), function(_, start)
    query [[UPDATE acts SET result = '{"by": "hand"}' WHERE id = 4]]
    local r = start("--write", "--json")
    local s = program.result(r)
    t.eq({ r.code, s.written, s.skipped, s.requests }, { 0, 9, 1, 9 }, r.err)
    t.eq(query("SELECT result::text AS r FROM acts WHERE id = 4")[1].r, '{"by": "hand"}')
    r = start("--write", "--overwrite", "--json")
    t.eq({ r.code, program.result(r).written, program.result(r).unchanged }, { 0, 1, 9 }, r.err)
    t.eq(query("SELECT result->>'number' AS n, writes FROM acts WHERE id = 4"), { { n = "128", writes = "2" } })
    t.eq(query("SELECT max(writes) AS n FROM acts WHERE id <> 4")[1].n, "1")
    r = start("--overwrite")
    t.eq(r.code, 2)
  end)
end)

t.test("keys that the table does not have, or cannot have, are lines with an error, and are not asked", function()
  with_model(recipe_with(FROM, WRITE), function(dir, start)
    local rows = {}
    for i, id in ipairs { "1", "none", "99999", "2" } do rows[i] = json.encode { id = id, text = "Стаття 5." } end
    assert(fs.write(dir .. "/x.jsonl", table.concat(rows, "\n")))
    local r = start("x.jsonl", "--write", "--quiet")
    t.eq(r.code, 16)
    local first, second, more = r.out:match "^([^\n]*)\n([^\n]*)\n(.*)$"
    t.has(first, '"key":"none"')
    t.has(first, 'invalid input syntax for type integer')
    t.has(second, '"key":"99999","error":{"code":"row","message":"acts has no row with this key"}')
    t.eq({ more, counts()[1] }, { "", "2" })
  end)
end)

t.test("a table of results gets its rows; those that are there stay", function()
  query "DROP TABLE IF EXISTS results"
  query "CREATE TABLE results (act integer PRIMARY KEY, found jsonb, model text DEFAULT '')"
  query [[INSERT INTO results VALUES (2, '{"by": "hand"}', 'me')]]
  local write = 'write = { table = "results", key = "act", column = "found", set = { model = "x" }, insert = true }'
  with_model(recipe_with(FROM, write), function(_, start)
    local r = start("--write", "--limit", "6", "--json")
    t.eq({ r.code, program.result(r).written, program.result(r).skipped }, { 0, 5, 1 }, r.err)
    t.eq(query("SELECT count(*) AS n, count(*) FILTER (WHERE model = 'x') AS x FROM results"), { { n = "6", x = "5" } })
    r = start("--write", "--limit", "6", "--json")
    t.eq({ r.code, program.result(r).written, program.result(r).skipped }, { 0, 0, 6 }, r.err)
    r = start("--write", "--overwrite", "--limit", "6", "--json")
    t.eq({ r.code, program.result(r).written, program.result(r).unchanged }, { 0, 1, 5 }, r.err)
  end)
end)

t.test("killed in the middle of writing, it goes on, and writes no row twice", function()
  with_model(recipe_with(FROM, WRITE), function(dir, start)
    for _, seconds in ipairs { 0.06, 0.1, 0.14, 0.2 } do
      os.execute(("cd '%s' && { DATABASE_URL='%s' timeout -s KILL %.3f %s extract toy.lua --write; } >/dev/null 2>&1")
        :format(dir, ENV.DATABASE_URL, seconds, os.getenv "FTRUN_BIN"))
    end
    t.eq(start("--write", "--quiet").code, 0)
    t.eq(counts(), { "250", "250", "250", "1" })
  end)
end)

t.test("a row without a key, or with one that several rows have, is written nowhere", function()
  local from = [[from = { query = "SELECT nullif(id, 2) AS id, text FROM acts WHERE id < 6 ORDER BY id" }]]
  with_model(recipe_with(from, 'write = { table = "acts", column = "result" }'), function(_, start)
    query "ALTER TABLE acts DROP CONSTRAINT acts_pkey"
    query "INSERT INTO acts (id, text) VALUES (4, 'Стаття 4, інша')"
    local r = start("--write")
    t.eq(r.code, 16, r.err)
    t.has(r.out, "its id is null: nothing says which row of acts it is")
    t.has(r.out, "acts has 2 rows with this key")
    t.eq(query "SELECT string_agg(id::text, ' ' ORDER BY id) AS ids FROM acts WHERE result IS NOT NULL",
      { { ids = "1 3 5" } })
  end)
end)

-- ---- the table alone ----

local function opened(dir, write)
  local path = dir .. "/x.lua"
  assert(fs.write(path, recipe_with(FROM, write)))
  assert(fs.write(dir .. "/rows.jsonl", "{}\n"))
  return tables.open(recipe.load(path))
end

local function fault(write)
  local dir <close> = t.folder()
  local ok, e = pcall(opened, dir.path, write)
  t.ok(not ok and err.is(e), e)
  return e
end

t.test("a table or column that is not there is the recipe's error, with its line and what was meant", function()
  make_table()
  local e = fault 'write = { table = "act", column = "result" }'
  t.eq(e.kind, "recipe")
  t.has(e.message, "extract.write.table: there is no table act")
  t.has(e.where, "x.lua:")
  e = fault 'write = { table = "acts", column = "resul", set = { done = true } }'
  t.has(tostring(e), 'extract.write.column: the table acts has no column "resul"')
  t.has(tostring(e), "Did you mean result?")
  e = fault 'write = { table = "public.acts", column = "result", set = { don = true } }'
  t.has(tostring(e), "Did you mean done?")
  e = fault 'write = { table = "acts; DROP TABLE acts", column = "result" }'
  t.has(e.message, "there is no table acts; DROP TABLE acts")
end)

t.test("a column whose type takes no result is the recipe's error, before anything is asked and paid", function()
  for type, taken in pairs { integer = false, boolean = false, ["text[]"] = false, bytea = false, date = false,
    json = true, jsonb = true, text = true, ["varchar(9)"] = true, ["a document"] = true } do
    query "DROP TABLE IF EXISTS acts"
    query 'DROP DOMAIN IF EXISTS "a document"'
    query 'CREATE DOMAIN "a document" AS jsonb CHECK (true)'
    query(("CREATE TABLE acts (id integer PRIMARY KEY, text text, result %s, done boolean)"):format(
      type:find " " and '"a document"' or type))
    local dir <close> = t.folder()
    local ok, e = pcall(opened, dir.path, WRITE)
    t.eq(ok, taken, type .. ": " .. tostring(e))
    if ok then
      e:close()
    else
      t.eq(e.kind, "recipe")
      t.eq(e.message, ("extract.write.column: result of acts has the type %s, which takes no JSON"):format(type))
      t.has(e.where, "x.lua:")
      t.has(e.advice, "json, jsonb or text")
    end
  end
  query "DROP TABLE acts"
  query "DROP TYPE IF EXISTS kind CASCADE"
  query "CREATE TYPE kind AS ENUM ('a', 'b')"
  query "CREATE TABLE acts (id integer PRIMARY KEY, text text, result kind, done boolean)"
  t.has(fault(WRITE).message, "has the type kind")
  local dir <close> = t.folder()
  opened(dir.path, WRITE .. ', answer = "text"'):close()
  with_model(recipe_with(FROM, WRITE), function(folder, start)
    query "ALTER TABLE acts ALTER COLUMN result TYPE integer USING NULL"
    local r = start("--write")
    t.eq({ r.code, r.out }, { 3, "" })
    t.has(r.err, "result of acts has the type integer")
    t.eq((fs.read(folder .. "/.ftrun/extract/toy.jsonl") or ""), "") -- no answer was asked for
  end)
end)

t.test("what the database will not let be written is said before anything is asked", function()
  make_table()
  query "CREATE OR REPLACE VIEW seen AS SELECT id, result FROM acts UNION ALL SELECT id, result FROM acts"
  t.has(fault('write = { table = "seen", column = "result" }').message, "cannot update view")
  query "DROP VIEW seen"
  query "DROP ROLE IF EXISTS reader"
  query "CREATE ROLE reader LOGIN"
  query "GRANT SELECT ON acts TO reader"
  local connect = postgres.connect
  local _ <close> = setmetatable({}, { __close = function()
    postgres.connect = connect
    query "DROP OWNED BY reader"
    query "DROP ROLE reader"
  end })
  postgres.connect = function(o)
    local c, message, code = connect(o)
    if c then assert(c:query "SET ROLE reader") end
    return c, message, code
  end
  local e = fault(WRITE)
  t.eq(e.kind, "database")
  t.has(tostring(e), "permission denied")
  t.has(tostring(e), "GRANT SELECT, UPDATE ON acts")
end)

t.test("a value that the column refuses fails its row alone", function()
  query "DROP TABLE IF EXISTS strict"
  query [[CREATE TABLE strict (id char(8) PRIMARY KEY, "odd ""name" jsonb CHECK ("odd ""name"->>'n' <> '13'))]]
  query "INSERT INTO strict SELECT i FROM generate_series(1, 20) i"
  local dir <close> = t.folder()
  local to <close> = opened(dir.path, [[write = { table = "strict", column = 'odd "name' }]])
  local results = {}
  for i = 1, 20 do
    results[i] = { key = tostring(i), result = ('{"n": %d, "s": "\\"{}\\\\,\'; DROP TABLE strict"}'):format(i) }
  end
  results[7].result = '{"s": "\\u0000"}'
  results[21] = { key = "1", result = '{"n": 0}' }
  to:write(results)
  local failed = {}
  for i, r in ipairs(results) do if r.error then failed[#failed + 1] = i end end
  t.eq({ failed, results[1].written, results[21].written }, { { 7, 13 }, true, false })
  t.has(results[13].error.message, "23514")
  local rows = query [[SELECT count("odd ""name") AS n, min("odd ""name"->>'s') AS s FROM strict]]
  t.eq(rows, { { n = "18", s = "\"{}\\,'; DROP TABLE strict" } })
end)
