local t = require "harness"
local err = require "ftrun.err"
local fs = require "ft.fs"
local recipe = require "ftrun.recipe"

local GOOD = [[
return ft.recipe {
  name = "x", base_model = "m",
  dataset = ft.jsonl { path = "a.jsonl", key = "id", example = function(row)
    return ft.chat { user = row.a, assistant = row.b }
  end },
}
]]

local function write(dir, source, name)
  local path = dir.path .. "/" .. (name or "x.lua")
  assert(fs.write(path, source))
  return path
end

-- What load raises, as lines like those of the case file.
local function faults(path, options)
  local ok, e = pcall(recipe.load, path, options)
  if ok then return {}, e end
  if not err.is(e) then error(e, 0) end
  t.eq(e.kind, "recipe")
  local lines = {}
  for _, one in ipairs(e.list or { e }) do
    lines[#lines + 1] = ("%s: %s"):format(one.where and one.where:match(":(%d+)$") or "-", one.message)
    if one.advice then lines[#lines + 1] = "> " .. one.advice end
  end
  return lines
end

local function cases()
  local list = {}
  for line in assert(fs.read(os.getenv "FTRUN_TESTS" .. "/cases/recipes.txt")):gmatch("[^\n]*\n") do
    local name = line:match("^=== (.*)\n")
    if name then list[#list + 1] = { name = name, body = "" }
    else list[#list].body = list[#list].body .. line end
  end
  return list
end

t.test("what writers of other languages write leads to what Lua has", function()
  local dir <close> = t.folder()
  for source, advice in pairs { ["x = 1 # one\n"] = "A comment begins with --.",
    ["return 1 != 2\n"] = '"Not equal" is written ~=.',
    ['return ft.recipe {\n  "name": "x"\n}\n'] = "A table is written { key = value, ... }." } do
    local ok, e = pcall(recipe.load, write(dir, source))
    t.ok(not ok and err.is(e), source)
    t.eq((e.list and e.list[1] or e).advice, advice)
  end
end)

for _, case in ipairs(cases()) do
  t.test("a bad recipe: " .. case.name, function()
    local dir <close> = t.folder()
    local source, expected = case.body:match("^(.-\n)%-%-%-\n(.*)$")
    local set = {}
    source = source:gsub("%-%-set ([^=\n]+)=([^\n]*)\n", function(key, value)
      set[#set + 1] = { key, value }
      return ""
    end)
    local got = faults(write(dir, source), { set = set })
    local i = 0
    for line in expected:gmatch("[^\n]+") do
      i = i + 1
      t.eq(got[i] and got[i]:sub(1, #line), line)
    end
    t.eq(#got, i)
  end)
end

t.test("a good recipe gets its defaults, its sources and a hash", function()
  local dir <close> = t.folder()
  local path = write(dir, GOOD)
  local r = recipe.load(path)
  t.eq({ r.name, r.base_model, r.seed, r.method, r.dataset.kind, r.dataset.path, r.suffix },
    { "x", "m", 42, "supervised", "jsonl", "a.jsonl" })
  t.eq(r.hyperparameters, { n_epochs = "auto", batch_size = "auto", learning_rate_multiplier = "auto" })
  t.eq({ r.path, r.dir }, { path, dir.path })
  t.eq(r.sources, { { path = "x.lua", bytes = GOOD } })
  t.eq(#r.sha256, 64)
  t.eq(r:call(r.dataset.example, { a = "q", b = "r" }),
    { messages = { { role = "user", content = "q" }, { role = "assistant", content = "r" } } })
  t.eq(r:where("dataset", "example"), path .. ":3")
  r:close()
  r:close()
end)

t.test("settings from outside are converted, recorded, and change the hash", function()
  local dir <close> = t.folder()
  local path = write(dir, GOOD)
  local plain = recipe.load(path)
  local set = { { "hyperparameters.n_epochs", "3" }, { "hyperparameters.batch_size", "auto" }, { "seed", "7" },
    { "wandb.tags", "a,b" }, { "budget.max_usd", "2.5" }, { "hyperparameters.learning_rate_multiplier", "0.5" } }
  local r = recipe.load(path, { set = set })
  t.eq(r.hyperparameters, { n_epochs = 3, batch_size = "auto", learning_rate_multiplier = 0.5 })
  t.eq({ r.seed, r.wandb.tags, r.budget.max_usd }, { 7, { "a", "b" }, 2.5 })
  t.eq(r.overrides, set)
  t.ok(r.sha256 ~= plain.sha256)
  t.eq(recipe.load(path, { set = set }).sha256, r.sha256)
  t.eq(recipe.load(path, { set = { "suffix=a-b" } }).overrides, { { "suffix", "a-b" } })
  t.eq(t.raises("expected PATH=VALUE", recipe.load, path, { set = { "suffix" } }).kind, "usage")
end)

t.test("a password in a setting from outside is refused and not repeated", function()
  local dir <close> = t.folder()
  local path = write(dir, [[return ft.recipe { name = "x", base_model = "m", dataset = ft.postgres {
    url = ft.env "DATABASE_URL", query = "SELECT 1", key = "id", example = function(row) return row end } }]])
  local e = t.raises("holds a password", recipe.load, path, { set = { "dataset.url=postgresql://u:hunter22@h/d" } })
  t.ok(not tostring(e):find("hunter22", 1, true))
  t.eq(recipe.load(path, { set = { "dataset.url=dbname=x" } }).dataset.url, "dbname=x")
end)

t.test("forged marks of constructors are faults of the recipe, not of the program", function()
  local dir <close> = t.folder()
  for _, source in ipairs {
    'return { ["@kind"] = "recipe", ["@file"] = 5, ["@line"] = {} }',
    'return { ["@kind"] = "recipe", ["@file"] = {}, ["@line"] = 1e300, name = { ["@kind"] = {} } }',
    'return ft.recipe { dataset = { ["@kind"] = "postgres", url = { ["@kind"] = "env", name = {} } } }',
    'return ft.recipe { wandb = { project = { ["@kind"] = "env" } }, [1] = 2, [true] = {}, dataset = {} }',
  } do
    t.ok(#faults(write(dir, source)) > 0)
  end
end)

t.test("a reference stays a reference, a plain setting gets its value or its default", function()
  local dir <close> = t.folder()
  local r = recipe.load(write(dir, [[
    return ft.recipe { name = "x", base_model = "m",
      dataset = ft.postgres { url = ft.env "DATABASE_URL", query = "SELECT 1", key = "id",
        example = function(row) return row end },
      wandb = { project = ft.env("FTRUN_TEST_UNSET", "fallback"), entity = ft.env "FTRUN_TEST_UNSET",
        group = ft.env "FTRUN_TESTS" },
    }]]))
  t.eq(r.dataset.url, { env = "DATABASE_URL" })
  t.eq(r.wandb, { project = "fallback", group = os.getenv "FTRUN_TESTS", log_datasets = false, on_stop = "detach",
    openai_integration = false })
end)

t.test("a fault in a row names the line, also behind a tail call and with a NULL column", function()
  local dir <close> = t.folder()
  local path = write(dir, [[
return ft.recipe { name = "x", base_model = "m",
  dataset = ft.jsonl { path = "a", example = function(row)
    if row.mode == "index" then return row.x.y end
    if row.mode == "truncate" then
      return ft.chat { user = ft.truncate(row.text, 3), assistant = "" }
    end
    if row.mode == "format" then return ft.chat { user = ("%s"):format(row.text), assistant = "" } end
    return ft.chat {
      user = row.text, assistant = "" }
  end } }]])
  local r = recipe.load(path)
  local function at(mode)
    local e = t.raises("", r.call, r, r.dataset.example, { mode = mode })
    return ("%s %s %s"):format(e.kind, e.where:sub(#dir.path + 2), e.message)
  end
  t.eq(at "index", "recipe x.lua:3 attempt to index a nil value (field 'x')")
  t.eq(at "truncate", "recipe x.lua:5 ft.truncate: expected a text, got nil (is the column NULL?)")
  t.eq(at "format", "recipe x.lua:7 bad argument #1 to 'format' (nil is no text; is the column NULL?)")
  t.eq(at "chat", "recipe x.lua:8 ft.chat: user: expected a text, got nil (is the column NULL?)")
end)

t.test("included files and texts are sources, and a fault in one names its line", function()
  local dir <close> = t.folder()
  assert(fs.mkdir(dir.path .. "/parts"))
  write(dir, "Говори.", "parts/prompt.txt")
  write(dir, 'return ft.files {\n  train = "a.jsonl",\n  validaton = "b.jsonl" }\n', "parts/data.lua")
  local source = 'local p = ft.text "parts/prompt.txt"\n' ..
    'return ft.recipe { name = "x", base_model = "m",\n  dataset = ft.include "parts/data.lua" }'
  local path = write(dir, source)
  local e = t.raises("did you mean validation", recipe.load, path)
  t.has(e.where, "parts/data.lua:3")
  write(dir, 'return ft.files { train = "a.jsonl" }', "parts/data.lua")
  local r = recipe.load(path)
  local paths = {}
  for i, s in ipairs(r.sources) do paths[i] = s.path end
  t.eq(paths, { "x.lua", "parts/prompt.txt", "parts/data.lua" })
  write(dir, "Інше.", "parts/prompt.txt")
  t.ok(recipe.load(path).sha256 ~= r.sha256)
end)

t.test("ft.chat takes several turns, tools, weights and names", function()
  local dir <close> = t.folder()
  local r = recipe.load(write(dir, [==[
return ft.recipe { name = "x", base_model = "m",
  dataset = ft.jsonl { path = "a", example = function()
    return ft.chat { system = "s", tools = ft.json [[ [] ]], messages = {
      { user = "a", name = "olena" }, { assistant = "b", weight = 0 }, { role = "user", content = "c" },
    }, assistant = "d", weight = 1 }
  end } }]==]))
  t.eq(r:call(r.dataset.example, {}), { tools = { ["@kind"] = "json", text = " [] " }, messages = {
    { role = "system", content = "s" }, { role = "user", content = "a", name = "olena" },
    { role = "assistant", content = "b", weight = 0 }, { role = "user", content = "c" },
    { role = "assistant", content = "d", weight = 1 } } })
end)

t.test("a missing recipe is told with what is there", function()
  local dir <close> = t.folder()
  write(dir, GOOD, "extraction.lua")
  local e = t.raises("there is no such recipe", recipe.load, dir.path .. "/extracton.lua")
  t.eq({ e.kind, e.advice }, { "recipe", "Did you mean " .. dir.path .. "/extraction.lua?" })
  e = t.raises("there is no such recipe", recipe.load, dir.path .. "/other.lua")
  t.eq(e.advice, "Recipes there: extraction.lua")
  e = t.raises("is a folder", recipe.load, dir.path .. "/")
  t.eq({ e.where, e.advice }, { dir.path, "Name one of: " .. dir.path .. "/extraction.lua" })
  local rows = write(dir, '{"a": 1}\n', "rows.jsonl")
  e = t.raises("is a file of data", recipe.load, rows)
  t.eq(e.advice, "Files of rows are checked with: ftrun validate " .. rows)
end)

t.test("a byte order mark and CRLF lines do no harm", function()
  local dir <close> = t.folder()
  local path = write(dir, "\xEF\xBB\xBF" .. GOOD:gsub("\n", "\r\n"))
  t.eq(recipe.load(path).name, "x")
  t.eq(faults(write(dir, (GOOD:gsub("\n", "\r\n"):gsub("key =", "kee =")))),
    { "3: dataset.kee: unknown key; did you mean key?" })
end)
