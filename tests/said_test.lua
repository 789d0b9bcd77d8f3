--- What recipes log themselves: from hooks, once, in every tracker; within limits, and no more than they may read.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ftrun.wandb.log"
local program = require "program"
local recipe = require "ftrun.recipe"
local said = require "ftrun.run.said"
local trackers = require "ftrun.trackers"

--- The toy recipe with other lines before it, and other keys in it.
local function toy(before, keys)
  return before .. "\n" .. program.RECIPE:gsub("}\n$", function() return "  " .. keys .. "\n}\n" end)
end

--- Loads a recipe whose metrics hook has this body; returns it and what calls of the hook say.
local function hooked(dir, body, before)
  assert(fs.write(dir .. "/toy.lua", toy(before or "", ("on = { metrics = function(m) %s end },"):format(body))))
  local r = recipe.load(dir .. "/toy.lua")
  return r, function(m)
    r:listen(true)
    local ok, message = pcall(r.call, r, r.on.metrics, m or { step = 1 })
    local list = r:listen(false)
    if not ok then return tostring(message), list end
    return list
  end
end

t.test("what a hook says comes out as plain values, once, in the order of the calls", function()
  local dir <close> = t.folder()
  local r <close>, say = hooked(dir.path, [[
    ft.log { a = m.step, b = "x", c = true }
    ft.summary { best = 0.5 }
    ft.table("t", { "n", "s" }, { { 1, "x" }, { s = "y" }, {} })
    ft.log { a = 0 / 0, b = 1 / 0, c = -1 / 0 }]])
  t.eq(say { step = 7 }, {
    { say = "log", values = { a = 7, b = "x", c = true } }, { say = "summary", values = { best = 0.5 } },
    { say = "table", name = "t", columns = { "n", "s" }, rows = { { n = 1, s = "x" }, { s = "y" }, {} } },
    { say = "log", values = { a = "NaN", b = "Infinity", c = "-Infinity" } } })
  t.eq(r:listen(false), {})
end)

t.test("what is said before a hook fails is kept; what the recipe says while it loads too", function()
  local dir <close> = t.folder()
  local r <close>, say = hooked(dir.path, 'ft.log { a = 1 } error "no"',
    'ft.define_metric { name = "train_loss", summary = "min" } ft.summary { kind = "toy" }')
  t.eq(r.said, { { say = "define_metric", name = "train_loss", summary = "min" },
    { say = "summary", values = { kind = "toy" } } })
  local message, list = say()
  t.has(message, "no")
  t.eq(list, { { say = "log", values = { a = 1 } } })
end)

t.test("calls with what cannot be logged are errors at the recipe's line", function()
  local dir <close> = t.folder()
  for call, part in pairs {
    ["ft.log(1)"] = "ft.log: expected { name = value, ... }, got 1",
    ["ft.log { a = {} }"] = "ft.log: a: expected a number, a text, true or false, got table",
    ["ft.log { _step = 1 }"] = "names that begin with _ are taken",
    ["ft.log { [1] = 1 }"] = "ft.log: a name: expected a text",
    ["ft.log { a = ('x'):rep(70000) }"] = "more than 64 KiB",
    ["for i = 1, 300 do ft.log { a = i } end"] = "more than 200 calls at once",
    ["local t = {} for i = 1, 60000 do t[i] = { i } end ft.table('t', { 'n' }, t)"] = "more than 50000 values at once",
    ["ft.table('t', {}, {})"] = "there are no columns",
    ["ft.table('t', { 'a', 'a' }, {})"] = 'two columns "a"',
    ["ft.table('t', { 'a' }, { 1 })"] = "row 1: expected a table",
    ["ft.define_metric { name = 'x', summary = 'best' }"] = "summary: expected min, max",
    ["ft.define_metric { name = 'x', goal = 1 }"] = 'unknown key "goal"',
    ["ft.artifact('x', {})"] = "files: expected a list of texts",
    ["ft.artifact('x', { files = {} })"] = "files: expected 1 to 100 paths",
    ["ft.artifact('', { files = 'a' })"] = "name: expected a text",
  } do
    local r <close>, say = hooked(dir.path, call)
    local message = say()
    t.eq(type(message), "string", call)
    t.has(message, part)
    t.has(message, "toy.lua:")
    r:close()
  end
end)

t.test("where nobody listens - in example, in a scoring function - nothing can be said", function()
  program.in_project(function(dir)
    local r = program.run(dir, {}, "prepare", "toy.lua")
    t.eq(r.code, 3, r.err)
    t.has(r.err, "ft.log: can be called in hooks")
  end, 10, program.RECIPE:gsub("return ft.chat", "ft.log { a = 1 } return ft.chat"))
end)

t.test("a recipe that forges what was said is read like any other: by its form", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/toy.lua", program.RECIPE:gsub("^return (.*)$", function(text)
    return "local r = " .. text .. [[
    r["@take"] = function()
      return { 1, "x", { say = "rm" }, { say = "log", values = 5 },
        { say = "log", values = { _step = 1, [2] = 3, ok = 1 } },
        { say = "table", name = "t", columns = "c", rows = { 1, { c = {} } } }, { say = "table" },
        { say = "define_metric" },
        { say = "artifact", name = "../x", files = { "../../etc/passwd", "/etc/passwd" }, type = {} } }
    end
    return r]]
  end)))
  local r <close> = recipe.load(dir.path .. "/toy.lua")
  local warnings = {}
  local event = said.event({ recipe = r, dir = dir.path }, r.said, "recipe", nil,
    function(text) warnings[#warnings + 1] = text end)
  for _, item in ipairs(event.items) do if item.values then item.values.created_at = nil end end
  t.eq(event.items, { { say = "log", values = {} }, { say = "log", values = { ok = 1 } },
    { say = "table", name = "t", columns = json.array {}, rows = json.array { {}, {} } } })
  t.eq(#warnings, 1)
  t.has(warnings[1], "a recipe may not read it")
end)

t.test("an artifact takes only files that a recipe may read, and none with texts of examples", function()
  local dir <close> = t.folder()
  local run = dir.path .. "/run"
  for name, text in pairs { ["toy.lua"] = program.RECIPE, ["notes.md"] = "notes", ["rows.jsonl"] = "{}",
    [".env"] = "KEY=1", ["run/train.jsonl"] = "{}", ["run/metrics.jsonl"] = "{}" } do
    assert(fs.mkdir((dir.path .. "/" .. name):match "^(.*)/"))
    assert(fs.write(dir.path .. "/" .. name, text))
  end
  os.execute(("ln -s /etc/passwd %s/link && ln -s %s/run/train.jsonl %s/other"):format(dir.path, dir.path, dir.path))
  local r <close> = recipe.load(dir.path .. "/toy.lua")
  local function take(open, ...)
    r.wandb = { log_datasets = open }
    local why
    local event = said.event({ recipe = r, dir = run }, { { say = "artifact", name = "a b", files = { ... } } }, "x",
      nil, function(text) why = text end)
    return event and event.items[1], why
  end
  local item = take(false, "notes.md", "metrics.jsonl")
  t.eq({ item.files[1].path, item.files[2].path, item.type }, { "notes.md", "metrics.jsonl", "artifact" })
  t.eq(fs.read(("%s/%s/notes.md"):format(run, item.folder)), "notes")
  for _, path in ipairs { "/etc/passwd", "../toy.lua", ".env", "link", "none.md", "" } do
    local none, why = take(true, path)
    t.eq(none, nil, path)
    t.has(why, "may not read it")
  end
  for _, path in ipairs { "rows.jsonl", "train.jsonl", "other", "run/train.jsonl" } do
    local none, why = take(false, path)
    t.eq(none, nil, path)
    t.has(why, "log_datasets")
  end
  t.ok(take(true, "rows.jsonl"))
end)

local LOGGING = toy('ft.define_metric { name = "train_loss", summary = "min" }\nft.define_metric { name = "double", '
  .. 'step_metric = "half" }', [[
  wandb = { project = "laws" },
  on = {
    metrics = function(m)
      ft.log { double = m.step * 2, half = m.step / 2 }
      if m.step == 3 then ft.table("worst", { "step", "loss" }, { { m.step, m.train_loss } }) end
    end,
    checkpoint = function(c) ft.log { checkpoint_at = c.step } end,
    finished = function(result)
      ft.summary { state_seen = result.state }
      ft.artifact("notes", { type = "notes", files = { "rows.txt", "metrics.jsonl" } })
    end,
  },]])

local function values(list)
  local v = {}
  for _, item in ipairs(list) do v[item.key or table.concat(item.nested_key, ".")] = json.decode(item.value_json) end
  return v
end

--- events.jsonl, and the records of the only W&B log.
local function look(dir, result)
  local events = {}
  for line in fs.read(("%s/%s/events.jsonl"):format(dir, result.dir)):gmatch "[^\n]+" do
    events[#events + 1] = json.decode(line)
  end
  local p <close> = assert(io.popen(("ls %s/.ftrun/runs/*/wandb/*/*.wandb"):format(dir)))
  local list, message = log.read(p:read "l")
  t.eq(message, nil)
  return events, list
end

local function check_logged(dir, r)
  t.eq(r.code, 0, r.err)
  local result = program.result(r)
  local events, list = look(dir, result)
  local metrics, steps, rows = program.metrics(dir, result), {}, {}
  for _, e in ipairs(events) do
    if e.type == "said" and e.hook == "metrics" then steps[#steps + 1] = e.step end
  end
  for i, step in ipairs(steps) do t.eq(step, i) end
  t.eq(#steps, #metrics, "each step's hook is heard once")
  for _, record in ipairs(list) do
    if record.history then rows[#rows + 1] = values(record.history.item) end
  end
  local least = math.huge
  for i, m in ipairs(metrics) do
    t.eq({ rows[i]._step, rows[i].double, rows[i].half, rows[i].train_loss }, { i, i * 2, i / 2 == i // 2 and i // 2
      or i / 2, m.train_loss })
    least = math.min(least, m.train_loss)
  end
  t.eq({ rows[3].worst._type, rows[3].worst.nrows }, { "table-file", 1 })
  local last, artifacts, defined = nil, {}, {}
  for _, record in ipairs(list) do
    if record.summary then last = values(record.summary.update) end
    if record.artifact then artifacts[record.artifact.name] = record.artifact end
    if record.metric then defined[#defined + 1] = record.metric.name end
  end
  t.eq({ last.train_loss.min, last.state_seen, last.state }, { least, "succeeded", "succeeded" })
  t.eq(defined, { "train_loss", "half", "double" })
  t.eq({ artifacts.notes.type, #artifacts.notes.manifest.contents }, { "notes", 2 })
  t.ok(artifacts[("run-%s-worst"):format(result.run)])
  local folder = dir .. "/" .. result.dir
  local tables = json.decode(fs.read(folder .. "/tables.jsonl"))
  t.eq(tables, { name = "worst", step = 3, columns = { "step", "loss" },
    rows = { { step = 3, loss = metrics[3].train_loss } } })
  local csv = fs.read(folder .. "/metrics.csv")
  t.has(csv:match "^[^\n]*", "step,created_at,double")
  t.eq(select(2, csv:gsub("\n", "")), #metrics + 1)
end

t.test("hooks log to every tracker: rows, tables, artifacts and summary, each once", function()
  program.in_project(function(dir)
    assert(fs.write(dir .. "/rows.txt", "x"))
    check_logged(dir, program.run(dir, {}, "--local", "toy.lua", "--json"))
  end, 40, LOGGING)
end)

t.test("a kill while training neither loses nor doubles what hooks have said", function()
  local long = LOGGING:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 30, batch_size = 1")
  program.in_project(function(dir)
    assert(fs.write(dir .. "/rows.txt", "x"))
    program.interrupt(dir, "KILL", dir .. "/.ftrun/runs/*/metrics.jsonl", '"step":20', "--local", "toy.lua")
    check_logged(dir, program.run(dir, {}, "--local", "toy.lua", "--json"))
  end, 40, long)
end)

t.test("a further tracker is one Lua module; one that fails is left out, and the others go on", function()
  local dir <close> = t.folder()
  local seen = {}
  package.loaded["test.trackers.list"] = { open = function(context, past)
    t.eq({ context.dir, #past }, { dir.path, 0 })
    return { event = function(e) seen[#seen + 1] = e.type end, settle = function() seen[#seen + 1] = "settle" end,
      close = function() seen[#seen + 1] = "close" end }
  end }
  package.loaded["test.trackers.broken"] = { open = function() return { event = function() error "broken" end } end }
  local before = trackers.others
  trackers.others = { "test.trackers.broken", "test.trackers.list" }
  local _ <close> = setmetatable({}, { __close = function() trackers.others = before end })
  local all = trackers.open { dir = dir.path, summary = { id = "x" }, recipe = {} }
  all.event { type = "metrics", id = "e1", step = 1, metrics = { train_loss = 1 } }
  all.settle()
  all.event { type = "result", state = "succeeded" }
  all.close()
  t.eq(seen, { "metrics", "settle", "result", "close" })
  t.has(fs.read(dir.path .. "/metrics.csv"), "step,created_at,train_loss\n1,,1\n")
end)

t.test("ftrun test calls hooks that log", function()
  program.in_project(function(dir)
    assert(fs.write(dir .. "/rows.txt", "x"))
    local r = program.run(dir, {}, "test", "toy.lua")
    t.eq(r.code, 0, r.out .. r.err)
  end, 40, LOGGING)
end)
