--- New recipes (init) and recipes under test (test).
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"

local ftrun, in_project = program.run, program.in_project

local function lines_of(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
  return list
end

for _, kind in ipairs { "jsonl", "postgres", "files" } do
  t.test(("a new recipe from %s is tried at once, and leaves nothing behind"):format(kind), function()
    local dir <close> = t.folder()
    local r = ftrun(dir.path, {}, "init", "recipes/support", "--from", kind, "--json")
    t.eq(r.code, 0, r.err)
    local files = json.decode(r.out).files
    t.eq({ files[1], files[#files] }, { "recipes/support.lua", ".env.example" })
    for _, file in ipairs { files[1], ".env.example" } do
      for line in fs.read(dir.path .. "/" .. file):gmatch "[^\n]+" do t.ok(#line <= 80, line) end
    end
    for line in fs.read(dir.path .. "/recipes/support.lua"):gmatch "[^\n]+" do
      t.ok(#line <= 120 and not line:find "%$%u", line)
    end
    r = ftrun(dir.path, {}, "test", "--json")
    t.eq(r.code, 0, r.out .. r.err)
    local found = lines_of(r.out)
    t.eq({ found[1].result, found[1].train + found[1].validation, found[1].score.name, found[2].ok },
      { "ok", 30, "accuracy", 1 })
    t.eq(#fs.list(dir.path .. "/recipes"), 2)
    t.eq((fs.stat(dir.path .. "/.ftrun")), nil)
    if kind ~= "postgres" then
      r = ftrun(dir.path, {}, "--local", "recipes/support.lua")
      t.eq(r.code, 0, r.err)
    end
  end)
end

t.test("init writes over nothing, and refuses names that are none", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/first.jsonl", "mine"))
  assert(fs.write(dir.path .. "/.env.example", "mine too"))
  local r = ftrun(dir.path, {}, "init")
  t.eq(r.code, 2)
  t.has(r.err, "first.jsonl: there already; nothing was written")
  t.eq(fs.list(dir.path), { ".env.example", "first.jsonl" })
  t.eq(ftrun(dir.path, {}, "init", "second.lua").code, 0)
  t.eq(fs.read(dir.path .. "/.env.example"), "mine too")
  for _, name in ipairs { "a b", "recipes/", "..", "-x y" } do t.eq(ftrun(dir.path, {}, "init", name).code, 2, name) end
  t.eq(ftrun(dir.path, {}, "init", "x", "--from", "mysql").code, 2)
end)

-- ---- test ----

local function with_hook(hook) return (program.RECIPE:gsub("}\n$", "  on = { " .. hook .. " },\n}\n")) end

t.test("a recipe with errors, one with a hook that fails and one whose rows are broken are not ok", function()
  in_project(function(dir)
    assert(fs.mkdir(dir .. "/recipes"))
    program.write_rows(dir .. "/recipes", 40)
    local function write(name, text) assert(fs.write(("%s/recipes/%s.lua"):format(dir, name), text)) end
    write("good", with_hook [[metrics = function(m, history)
      if #history > 3 and m.valid_loss > history[#history - 1].valid_loss then return ft.cancel "rises" end
    end]])
    write("typo", program.RECIPE:gsub("n_epochs", "n_epoch"))
    write("hook", with_hook "event = function(e) return ft.notify(e.text .. '!') end")
    write("helper", "return {}\n")
    local r = ftrun(dir, {}, "test")
    t.eq(r.code, 15, r.err)
    t.has(r.out, "ok       recipes/good.lua: ")
    t.has(r.out, "not ok   recipes/typo.lua: recipes/typo.lua:13: hyperparameters.n_epoch: unknown key")
    t.has(r.out, "not ok   recipes/hook.lua: recipes/hook.lua:14: ")
    t.has(r.out, "3 recipes: 1 ok, 2 not ok, 0 skipped\n")
    t.ok(not r.out:find("helper", 1, true))
    program.write_rows(dir .. "/recipes", 40, 7)
    local found = lines_of(ftrun(dir, {}, "test", "recipes/good.lua", "--json").out)
    t.eq({ found[1].result, found[1].kind, found[2].failed }, { "failed", "data", 1 })
    t.has(found[1].message, "row id=7")
  end)
end)

t.test("hooks see numbers as a run has them: made up, and those of the last run where there is one", function()
  in_project(function(dir)
    local function write(hook) assert(fs.write(dir .. "/toy.lua", with_hook(hook))) end
    write "metrics = function(m) if m.full_valid_loss > 9 then return ft.cancel 'far' end end"
    local r = ftrun(dir, {}, "test")
    t.eq(r.code, 15, r.err)
    t.has(r.out, "(on.metrics, with step 1 of made-up numbers)")
    write "metrics = function(m) if m.total_steps == 16 and m.step == 15 then return ft.notify(m.nothing .. '') end end"
    r = ftrun(dir, {}, "test", "--json")
    t.eq({ r.code, lines_of(r.out)[1].hooks.run }, { 0 }, r.out)
    t.eq(lines_of(r.out)[1].notes, { "hooks called with made-up numbers" })
    local run = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json")).run
    r = ftrun(dir, {}, "test")
    t.eq(r.code, 15, r.out)
    t.has(r.out, "(on.metrics, with step 15 of run " .. run .. ")")
    write "finished = function(r) if r.run ~= 'test' then return ft.notify(r.trained_tokens .. '') end end"
    r = ftrun(dir, {}, "test")
    t.eq(r.code, 0, r.out)
    t.has(r.out, "hooks called with made-up numbers, and with 16 steps of run " .. run)
    write "metrics = function(m) if m.valid_loss then error('none here') end end"
    t.eq(ftrun(dir, {}, "test").code, 15)
  end)
end)

t.test("a method that the local provider does not learn is counted and planned all the same", function()
  local dir <close> = t.folder()
  assert(fs.mkdir(dir.path .. "/data"))
  local root = os.getenv "FTRUN_TESTS" .. "/../recipes"
  for _, name in ipairs { "preference.lua", "data/preference_train.jsonl", "data/preference_validation.jsonl" } do
    assert(fs.write(dir.path .. "/" .. name, assert(fs.read(root .. "/" .. name))))
  end
  local found = lines_of(ftrun(dir.path, {}, "test", "preference.lua", "--json").out)[1]
  t.eq({ found.result, found.train, found.validation }, { "ok", 60, 18 }, found.message)
  t.has(found.notes[2], "not trained: the local provider learns from answers only")
  local r = ftrun(dir.path, {}, "validate", "--deep", "data/preference_train.jsonl", "data/preference_validation.jsonl")
  t.eq(r.code, 0, r.out)
  t.has(r.out, "all rows together: no errors\n")
  r = ftrun(dir.path, {}, "plan", "preference.lua", "--json")
  t.eq(r.code, 0, r.err)
  local plan = json.decode(r.out)
  t.eq({ plan.train.rows, plan.validation.rows, plan.request.method }, { 108, 18, "dpo" })
  -- verify needs a lock file, which only a run at a provider writes: one with what the plan knows
  local lock = { recipe_sha256 = plan.recipe.sha256, name = "preference", seed = 42, base_model = plan.base_model,
    provider = "openai", ftrun = "0.1.0", rows = plan.data.written, data_sha256 = plan.data.sha256,
    train = { rows = 108, sha256 = plan.train.sha256 }, validation = { rows = 18, sha256 = plan.validation.sha256 },
    overrides = json.array {} }
  assert(fs.write(dir.path .. "/preference.lock.json", json.encode(lock) .. "\n"))
  r = ftrun(dir.path, {}, "verify", "preference.lua")
  t.has(r.out, "same     train: ")
  t.ok(not r.out:find("DIFFERS  recipe", 1, true) and not r.out:find("DIFFERS  data", 1, true), r.out)
end)

t.test("ready-made files that are not made yet are no fault of the recipe, wrong rows in them are", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/files.lua", [[return ft.recipe { name = "files", base_model = "gpt-4o-mini-2024-07-18",
    dataset = ft.files { train = "made.jsonl" } }]]))
  local r = ftrun(dir.path, {}, "test", "files.lua")
  t.eq(r.code, 0, r.err)
  t.has(r.out, "skipped  files.lua: made.jsonl is not there (yet)")
  t.eq(ftrun(dir.path, {}, "test", "--strict", "files.lua").code, 15)
  assert(fs.write(dir.path .. "/made.jsonl", '{"messages":[],}\n'))
  r = ftrun(dir.path, {}, "test", "files.lua")
  t.eq(r.code, 15)
  t.has(r.out, "not JSON: ")
end)

t.test("a query without a database is skipped with the reason, or takes rows of a file; nothing is promoted", function()
  in_project(function(dir)
    local text = program.RECIPE:gsub('ft.jsonl {\n    path = "rows.jsonl",',
      'ft.postgres {\n    url = ft.env "DATABASE_URL", query = "SELECT 1",')
      :gsub("}\n$", '  evaluate = { score = ft.json_f1 { "number" } },\n  promote = { key = "TOY_MODEL" },\n}\n')
    assert(fs.write(dir .. "/toy.lua", text))
    local r = ftrun(dir, {}, "test")
    t.eq(r.code, 0, r.err)
    t.has(r.out, "skipped  toy.lua: DATABASE_URL is not set")
    t.eq(ftrun(dir, {}, "test", "--strict").code, 15)
    r = ftrun(dir, { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = "http://127.0.0.1:9/v1",
      WANDB_API_KEY = "0123456789", WANDB_BASE_URL = "http://127.0.0.1:9" }, "test", "--data", "rows.jsonl")
    t.eq(r.code, 0, r.err .. r.out)
    t.has(r.out, "rows of rows.jsonl")
    t.has(r.out, "f1 ")
    t.eq(fs.list(dir), { "rows.jsonl", "toy.lua" })
    r = ftrun(dir, { DATABASE_URL = "postgresql://u:secret99@127.0.0.1:1/x" }, "test")
    t.eq(r.code, 15)
    t.ok(not (r.out .. r.err):find("secret99", 1, true))
  end)
end)

t.test("what the local provider cannot learn is planned all the same, and said", function()
  in_project(function(dir)
    local rows = {}
    for i = 1, 30 do
      rows[i] = json.encode { id = tostring(i), text = ("Tell me of %d."):format(i),
        answer = ("%d is %s"):format(i * 7919 % 1000, ("so long a story "):rep(3 + i)) }
    end
    assert(fs.write(dir .. "/rows.jsonl", table.concat(rows, "\n") .. "\n"))
    local found = lines_of(ftrun(dir, {}, "test", "--json").out)
    t.eq({ found[1].result, found[1].train + found[1].validation }, { "ok", 30 })
    t.has(found[1].notes[1], "not trained: ")
  end)
end)
