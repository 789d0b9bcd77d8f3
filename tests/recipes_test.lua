-- Runs under tests/postgres.sh: the shipped recipes against the shipped sample, and what databases do to recipes.
local t = require "harness"
local dataset = require "ftrun.data.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local ft_dataset = require "ft.dataset"
local plan = require "ftrun.plan"
local plan_text = require "ftrun.plan.text"
local postgres = require "ft.postgres"
local recipe = require "ftrun.recipe"
local secrets = require "ft.secrets"
local source = require "ftrun.data.source"

local ROOT = os.getenv "FTRUN_TESTS" .. "/../recipes"
local SAMPLE = ROOT .. "/data/legal_acts.jsonl"

local function connection()
  local c = assert(postgres.connect { conninfo = "" })
  return c, setmetatable({}, { __close = function() c:close() end })
end

-- The table of the sample, filled once.
local function load_sample()
  local c, _ <close> = connection()
  assert(c:query [[CREATE TABLE IF NOT EXISTS legal_acts (id integer PRIMARY KEY, nreg varchar(100) NOT NULL UNIQUE,
    title varchar(1000) NOT NULL, text text, status varchar(50), date_acceptance timestamptz,
    is_processed boolean DEFAULT false, extracted_elements json)]])
  local reader = assert(ft_dataset.reader(SAMPLE))
  local line = reader:next()
  while line do
    local row = source.row(line)
    assert(c:query("INSERT INTO legal_acts VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT DO NOTHING", { n = 8, row.id,
      row.nreg, row.title, row.text, row.status, row.date_acceptance, row.is_processed, row.extracted_elements }))
    line = reader:next()
  end
  reader:close()
end

local function plan_of(path)
  local dir <close> = t.folder()
  local r = recipe.load(path)
  local prepared = dataset.prepare(r, { dir = dir.path })
  local made = plan.make(r, prepared, "local")
  t.ok(#plan_text.lines(made) > 5)
  return made, assert(fs.read(prepared.train.path))
end

t.test("every shipped recipe is planned", function()
  load_sample()
  local dir <close> = t.folder()
  assert(fs.mkdir(dir.path .. "/data"))
  local recipes = 0
  -- from-files.lua trains on what the command in its comment makes
  local export = recipe.load(ROOT .. "/from-jsonl.lua")
  assert(dataset.export(export, dir.path .. "/data/train.jsonl").written > 100)
  for _, name in ipairs(assert(fs.list(ROOT))) do
    if name:find("%.lua$") then
      local path = ROOT .. "/" .. name
      if name == "from-files.lua" then
        path = dir.path .. "/" .. name
        assert(fs.write(path, assert(fs.read(ROOT .. "/" .. name))))
      end
      local made = plan_of(path)
      t.ok(made.train.rows > 100 and made.validation.rows > 5, name)
      t.eq(made.warnings, {})
      recipes = recipes + 1
    end
  end
  t.ok(recipes >= 5, recipes)
end)

t.test("the same acts give the same bytes from the database and from the file", function()
  load_sample()
  local _, from_database = plan_of(ROOT .. "/legal-extraction.lua")
  local _, from_file = plan_of(ROOT .. "/from-jsonl.lua")
  -- the file's JSON is spaced as the sample is; the database keeps the bytes it was given
  t.eq(#from_database, #from_file)
  t.ok(from_database == from_file)
end)

t.test("the label of a class is taken out of the JSON by the database", function()
  load_sample()
  local made, text = plan_of(ROOT .. "/complexity.lua")
  t.has(text, '{"role":"assistant","content":"простий"}')
  t.eq(made.data.rows, made.data.written)
end)

t.test("the recipe that init writes for a query is planned on a table of its columns", function()
  local dir <close> = t.folder()
  local files = require("ftrun.share.templates").files("postgres", "support", dir.path .. "/")
  for _, f in ipairs(files) do assert(fs.write(f.path, f.bytes)) end
  local c, _ <close> = connection()
  assert(c:query "DROP TABLE IF EXISTS messages")
  assert(c:query "CREATE TABLE messages (id text PRIMARY KEY, message text, desk text)")
  for line in files[2].bytes:gmatch "[^\n]+" do
    local row = source.row(line)
    assert(c:query("INSERT INTO messages VALUES ($1, $2, $3)", { row.id, row.message, row.desk }))
  end
  local made = plan_of(files[1].path)
  t.eq({ made.train.rows + made.validation.rows, made.problems }, { 30, {} })
end)

t.test("a run over a query is exported, and repeated elsewhere against the same database", function()
  load_sample()
  local program = require "program"
  local here <close> = t.folder()
  local there <close> = t.folder()
  local env = { DATABASE_URL = os.getenv "DATABASE_URL" }
  assert(fs.mkdir(here.path .. "/prompts"))
  for _, name in ipairs { "legal-extraction.lua", "prompts/legal-extraction.txt" } do
    assert(fs.write(here.path .. "/" .. name, assert(fs.read(ROOT .. "/" .. name))))
  end
  local set = { "--set", "gate.f1.at_least=0", "--set", "promote.key=TEST_MODEL", "--limit", "60" }
  local r = program.run(here.path, env, "--local", "legal-extraction.lua", table.unpack(set))
  t.ok(r.code == 0 or r.code == 13, r.err)
  t.eq(program.run(here.path, env, "export", "-o", "x.ftrun").code, 0)
  local unpacked <close> = io.popen(("tar xzOf %s/x.ftrun"):format(here.path))
  local all, where = unpacked:read "a", secrets.describe "DATABASE_URL"
  t.has(all, '"source":"PostgreSQL"')
  t.ok(where and not all:find(where, 1, true), "where the database is stays here")
  r = program.run(there.path, env, "import", here.path .. "/x.ftrun", "--json")
  t.eq(r.code, 0, r.err)
  local run = json.decode(r.out).run
  r = program.run(there.path, env, "verify", run)
  t.eq(r.code, 0, r.out .. r.err)
  t.has(r.out, "same     query: SELECT nreg, title")
  r = program.run(there.path, env, "--local", json.decode(program.run(there.path, env, "list", "--json").out)[1].recipe,
    table.unpack(set))
  t.ok(r.code == 0 or r.code == 13, r.err)
  r = program.run(there.path, env, "diff", run, "legal-extraction")
  t.eq(r.code, 0, r.out)
  local c, _ <close> = connection()
  assert(c:query "UPDATE legal_acts SET text = 'x ' || text")
  r = program.run(there.path, env, "verify", run)
  assert(c:query "DROP TABLE legal_acts") -- the other tests load it anew
  t.eq(r.code, 14, r.out)
  t.has(r.out, "DIFFERS  data: ")
end)

-- ---- what can go wrong ----

local function with(dir, fields, split)
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, ([[return ft.recipe { name = "x", base_model = "m",
  dataset = ft.postgres {
    %s,
    example = function(row) return ft.chat { user = row.q, assistant = row.a } end },
  %s
}]]):format(table.concat(fields, ",\n    "), split and "split = " .. split or "")))
  return recipe.load(path)
end

local GOOD = "SELECT 'k' || i AS k, 'q' || i AS q, 'a' AS a FROM generate_series(1, 20) i ORDER BY i"
local URL = 'url = ft.env "DATABASE_URL"'

local function fault(kind, dir, fields, split)
  local ok, e = pcall(dataset.prepare, with(dir, fields, split), { dir = dir.path .. "/run" })
  t.ok(not ok, "nothing was raised")
  if not err.is(e) then error(e, 0) end
  t.eq(e.kind, kind, e.message)
  return e
end

t.test("rows come with parameters, streamed, and are named by their key", function()
  local dir <close> = t.folder()
  local p = dataset.prepare(with(dir, { URL, 'key = "k"', "params = { 12, 'z', true }",
    'query = "SELECT i AS k, $2 AS q, $3::text AS a FROM generate_series(1, $1::int) i ORDER BY 1"' }),
    { dir = dir.path })
  t.eq({ p.rows, p.written, p.duplicates.first[1] }, { 12, 12, "k=2" })
end)

t.test("a missing table and a missing column are named with the query's line", function()
  local dir <close> = t.folder()
  local e = fault("database", dir, { URL, 'key = "k"', 'query = "SELECT * FROM legal_act"' })
  t.eq({ e.code, e.where }, { "42P01", dir.path .. "/x.lua:5" })
  t.has(e.message, 'relation "legal_act" does not exist')
  t.has(e.advice, "DATABASE_URL")
  e = fault("database", dir, { URL, 'key = "k"', 'query = "SELECT nosuch FROM pg_class"' })
  t.eq(e.code, "42703")
  t.has(e.message, 'column "nosuch" does not exist')
end)

t.test("a column that is NULL in all rows splits nothing, and is named", function()
  local dir <close> = t.folder()
  local query = 'query = "SELECT 1 AS q, 2 AS a, NULL AS day FROM generate_series(1, 20)"'
  local e = fault("recipe", dir, { URL, 'key = "q"', query },
    '{ validation = 0.5, time_by = "day" }')
  t.eq({ e.message, e.advice, e.where },
    { 'split.time_by: in all rows "day" is NULL', nil, dir.path .. "/x.lua:7" })
end)

t.test("a key that the query does not have is a recipe error with the nearest column", function()
  local dir <close> = t.folder()
  local e = fault("recipe", dir, { URL, 'key = "kk"', 'query = "SELECT 1 AS kkk"' })
  t.eq({ e.message, e.advice, e.where },
    { 'dataset.key: the query has no column "kk"', "There are kkk.", dir.path .. "/x.lua:4" })
end)

t.test("no rows, also with a wrong key, is an error about the query", function()
  local dir <close> = t.folder()
  local e = fault("data", dir, { URL, 'key = "k"', 'query = "SELECT 1 AS k WHERE false"' })
  t.eq({ e.message, e.where }, { "the query returned no rows", dir.path .. "/x.lua:5" })
end)

t.test("a NULL column stops at its row and says so", function()
  local dir <close> = t.folder()
  local e = fault("recipe", dir, { URL, 'key = "k"',
    [[query = "SELECT 'r' || i AS k, 'q' AS q, CASE WHEN i <> 7 THEN 'a' END AS a FROM generate_series(1, 20) i"]] })
  t.eq(e.message, "ft.chat: assistant: expected a text, got nil (is the column NULL?) (row k=r7)")
end)

t.test("a recipe cannot change the database", function()
  local dir <close> = t.folder()
  do
    local c, _ <close> = connection()
    assert(c:query "DROP TABLE IF EXISTS precious")
    assert(c:query "CREATE TABLE precious AS SELECT 1 AS k")
  end
  local e = fault("database", dir, { URL, 'key = "k"', 'query = "DELETE FROM precious RETURNING k"' })
  t.eq(e.code, "25006")
  local c, _ <close> = connection()
  t.eq(assert(c:query "SELECT count(*) AS n FROM precious").rows[1].n, "1")
end)

t.test("a wrong password and a server that is not there are clear errors without the password", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/.env", ("WRONG_DSN=postgresql://ftrun:hunter22@127.0.0.1:%s/ftrun\n")
    :format(os.getenv "PGPORT") .. "AWAY_DSN=postgresql://ftrun:hunter22@127.0.0.1:1/ftrun\n"))
  assert(secrets.load(dir.path .. "/.env"))
  for name, code in pairs { WRONG_DSN = "auth", AWAY_DSN = "refused" } do
    local e = fault("database", dir, { ('url = ft.env "%s"'):format(name), 'key = "k"', 'query = "' .. GOOD .. '"' })
    t.eq(e.code, code)
    t.has(tostring(e), name)
    t.ok(not tostring(e):find("hunter22", 1, true), tostring(e))
  end
end)

t.test("a URL with a default, and one without a password in the recipe, connect", function()
  local dir <close> = t.folder()
  for _, url in ipairs { 'url = ft.env("FTRUN_UNSET_DSN", "dbname=ftrun")', 'url = "dbname=ftrun"' } do
    local p = dataset.prepare(with(dir, { url, 'key = "k"', ('query = "%s"'):format(GOOD) }), { dir = dir.path })
    t.eq(p.written, 20)
  end
end)

-- ---- an export is one state of the database ----

-- A table of n rows, and a recipe over it.
local function export_of(n, query)
  local c, _ <close> = connection()
  assert(c:query "DROP TABLE IF EXISTS facts")
  assert(c:query "CREATE TABLE facts (id integer PRIMARY KEY, state text, filler text)")
  assert(c:query(("INSERT INTO facts SELECT i, 'old', repeat('x', 2000) FROM generate_series(1, %d) i"):format(n)))
  local dir = t.folder()
  assert(fs.write(dir.path .. "/facts.lua", ([[return ft.recipe { name = "facts", base_model = "m",
    dataset = ft.postgres { url = ft.env("FTRUN_TEST_NONE", "%s"), query = "%s", key = "id",
      example = function(row) return ft.chat { user = row.filler .. row.id, assistant = row.state } end } }]])
    :format("host=" .. os.getenv "PGHOST", query or "SELECT * FROM facts ORDER BY id")))
  return dir, recipe.load(dir.path .. "/facts.lua")
end

t.test("a long export is one state of the database, whatever others commit in the middle", function()
  local dir <close>, r = export_of(5000)
  local writer, _ <close> = connection()
  local path, changed = dir.path .. "/all.jsonl", 0
  local made = dataset.export(r, path, { on_progress = function(done)
    if done < 200 or changed > 5 then return end
    changed = changed + 1
    assert(writer:query "UPDATE facts SET state = 'new'")
    assert(writer:query("INSERT INTO facts VALUES ($1, 'new', 'y')", { 5000 + changed }))
    assert(writer:query("DELETE FROM facts WHERE id = $1", { 5000 - changed }))
  end })
  t.ok(changed > 3, "the others came in between")
  t.eq(made.rows, 5000)
  local text = assert(fs.read(path))
  t.eq(select(2, text:gsub('"old"', "")), 5000)
  t.ok(not text:find('"new"', 1, true))
  local again = dataset.export(r, path)
  t.eq({ again.rows, select(2, assert(fs.read(path)):gsub('"new"', "")) }, { 5000, 5000 })
end)

t.test("a connection that is lost in the middle is an error, and never a short dataset", function()
  local dir <close>, r = export_of(20000)
  local killer, _ <close> = connection()
  local path, killed = dir.path .. "/all.jsonl", false
  local ok, e = pcall(dataset.export, r, path, { on_progress = function(done)
    if done < 1000 or killed then return end
    killed = true
    assert(killer:query [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND query LIKE '%FROM facts%']])
  end })
  t.ok(killed and not ok and err.is(e), tostring(e))
  t.eq({ e.kind, e.code }, { "database", "lost" })
  t.eq(fs.list(dir.path), { "facts.lua" }, "no dataset, and nothing half done")
end)

t.test("a limit ends the query, and --after begins behind a row", function()
  local dir <close>, r = export_of(3000)
  local path = dir.path .. "/some.jsonl"
  local first = dataset.export(r, path, { limit = 10 })
  t.eq({ first.rows, first.written }, { 10, 10 })
  t.has(assert(fs.read(path)), 'x10"')
  local rest = dataset.export(r, path, { after = "10", limit = 5 })
  t.eq({ rest.rows, rest.written }, { 5, 5 })
  local text = assert(fs.read(path))
  t.ok(text:find('x11"', 1, true) and text:find('x15"', 1, true) and not text:find('x10"', 1, true))
  local ok, e = pcall(dataset.export, r, path, { after = "none" })
  t.ok(not ok)
  t.has(e.message, "no row has id=none")
  ok, e = pcall(dataset.export, r, path, { after = "3000" })
  t.ok(not ok)
  t.has(e.message, 'no row stands behind the one with the key "3000": there is nothing new')
  t.eq(fs.read(path), text, "what was exported before stays")
end)

t.test("progress knows how many rows the database expects", function()
  local _ <close>, r = export_of(1000)
  local c, _ <close> = connection()
  assert(c:query "ANALYZE facts")
  local seen = {}
  dataset.export(r, "/dev/null", { on_progress = function(...) seen[#seen + 1] = { ... } end })
  t.eq(seen[#seen], { 1000, 1000, "rows" })
  t.eq(seen[1], { 200, 1000, "rows" })
end)

t.test("memory stays flat however long the export is", function()
  local function grown(n)
    local dir <close>, r = export_of(n)
    collectgarbage()
    collectgarbage()
    local before, most = collectgarbage "count", 0
    dataset.export(r, dir.path .. "/all.jsonl", { on_progress = function()
      most = math.max(most, collectgarbage "count" - before)
    end })
    r:close()
    collectgarbage()
    collectgarbage()
    return most, collectgarbage "count" - before
  end
  grown(100)
  local most, left = grown(12000) -- 24 MB of text, read, copied and written several times
  t.ok(most < 12 << 10, ("%.0f KiB at most"):format(most))
  t.ok(left < 64, ("%.0f KiB left"):format(left))
end)
