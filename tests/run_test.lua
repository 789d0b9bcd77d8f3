--- A run's state machine: one job, one upload per content, each event once, wherever it was interrupted.
local t = require "harness"
local double = require "run_double"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"

local in_folder, raised_after = double.in_folder, double.raised_after
local steps_of, quiet_ui = double.steps_of, double.quiet_ui

t.test("a run goes through every phase and keeps its result", function()
  in_folder(function(start, provider, recipe, dir)
    local result = start()
    t.eq(result.state, "succeeded")
    t.eq(result.model, "ft:fake")
    t.eq({ provider.uploads, #provider.jobs }, { 1, 1 })
    t.eq(steps_of(result.dir), { 1, 2, 3, 4, 5, 6, 7, 8 })
    t.eq(json.decode(fs.read(dir .. "/fake.lock.json")).data_sha256, recipe.data_sha256)
    t.eq(fs.read(result.dir .. "/recipe.lua"), "return 1")
    t.eq(fs.read(result.dir .. "/result.csv"), "step,train_loss\n1,1\n")
  end)
end)

t.test("the same recipe on the same data is not paid for twice, except with --new", function()
  in_folder(function(start, provider)
    local first = start()
    t.eq(start().run, first.run)
    t.eq({ provider.uploads, #provider.jobs }, { 1, 1 })
    t.ok(start({ new = true }).run ~= first.run)
    t.eq({ provider.uploads, #provider.jobs }, { 1, 2 })
  end)
end)

t.test("a start that was killed before it was confirmed does not hide the finished run before it", function()
  in_folder(function(start, provider, recipe)
    local first = start()
    local left = runs.create { identity = run.identity(recipe, provider), name = "fake", recipe = recipe.path,
      provider = "local", base_model = recipe.base_model }
    assert(fs.write(runs.dir(left.id) .. "/journal.jsonl", '{"phase":"prepare","at":"","data":{}}\n'))
    t.eq(start().run, first.run)
    t.eq({ provider.uploads, #provider.jobs, #runs.list() }, { 1, 1, 1 })
  end)
end)

t.test("the same recipe on changed data is a new run", function()
  in_folder(function(start, provider, recipe)
    start()
    recipe.data_sha256 = ("e"):rep(64)
    start()
    t.eq({ provider.uploads, #provider.jobs }, { 2, 2 })
  end)
end)

for _, what in ipairs { "put_file", "create" } do
  t.test("a lost answer to " .. what .. " creates nothing twice", function()
    in_folder(function(start, provider)
      provider.faults[what] = "after"
      t.eq(start().state, "succeeded")
      t.eq({ provider.uploads, #provider.jobs }, { 1, 1 })
    end)
  end)

  t.test("a failure before " .. what .. " was sent ends the run; the next start continues it", function()
    in_folder(function(start, provider)
      provider.faults[what] = "before"
      t.raises("the connection was reset", start)
      t.eq(start().state, "succeeded")
      t.eq({ provider.uploads, #provider.jobs, #runs.list() }, { 1, 1, 1 })
    end)
  end)
end

t.test("a start after a crash right behind the create request finds the job by its metadata", function()
  in_folder(function(start, provider)
    provider.faults.get = "before"
    t.raises("the connection was reset", start)
    local dir = runs.dir(runs.list()[1].id)
    local kept = {}
    for line in fs.read(dir .. "/journal.jsonl"):gmatch("[^\n]+") do
      if json.decode(line).phase ~= "create" then kept[#kept + 1] = line end
    end
    assert(fs.write(dir .. "/journal.jsonl", table.concat(kept, "\n") .. '\n{"phase":"crea'))
    t.eq(start().state, "succeeded")
    t.eq(#provider.jobs, 1)
  end)
end)

t.test("watching that breaks off and starts again logs each metric once", function()
  in_folder(function(start, provider)
    local result
    local stop = 3
    local real = provider.listed
    provider.listed = function(self, after)
      local list = real(self, after)
      stop = stop - 1
      if stop == 0 then err.raise("network", "gone") end
      return list
    end
    t.raises("gone", start)
    result = start()
    t.eq(steps_of(result.dir), { 1, 2, 3, 4, 5, 6, 7, 8 })
  end)
end)

t.test("a metric whose row was lost in a crash is there after the next start", function()
  in_folder(function(start, provider)
    provider.faults.events = nil
    local result = start()
    assert(fs.write(result.dir .. "/metrics.jsonl", ""))
    local tracker = require("ftrun.trackers.files").open { dir = result.dir }
    tracker.close()
    t.eq(#steps_of(result.dir), 8)
  end)
end)

t.test("a hook that answers with cancel cancels the job", function()
  in_folder(function(start, _, recipe)
    recipe.on.metrics = function(m) if m.step == 2 then return { decision = "cancel", reason = "enough" } end end
    local result, ui = start()
    t.eq(result.state, "cancelled")
    t.has(table.concat(ui.notes, "\n"), "enough")
  end)
end)

t.test("two starts of one recipe at a time: the second is told so", function()
  in_folder(function(start, provider, recipe)
    local _ <close> = runs.hold(run.identity(recipe, provider))
    local e = t.raises("already running", start)
    t.eq(e.kind, "busy")
    t.eq(#provider.jobs, 0)
  end)
end)

t.test("a plan that is not confirmed sends nothing", function()
  in_folder(function(start, provider)
    local ui = quiet_ui()
    ui.confirm = function() return false end
    local e = t.raises("not confirmed", start, { ui = ui })
    t.eq(e.kind, "declined")
    t.eq({ provider.uploads, #provider.jobs }, { 0, 0 })
  end)
end)

t.test("what nobody agreed to is prepared again, and leaves nothing", function()
  in_folder(function(start, provider, recipe)
    local ui = quiet_ui()
    ui.confirm = function() return false end
    t.raises("not confirmed", start, { ui = ui })
    t.eq(runs.list(), {})
    ui.confirm = function() error("killed", 0) end
    local remove = runs.remove
    runs.remove = function() end
    t.eq({ pcall(start, { ui = ui }) }, { false, "killed" })
    runs.remove = remove
    t.eq(runs.list()[1].phase, "plan")
    recipe.data_sha256 = ("e"):rep(64)
    local result = start()
    t.eq(fs.read(result.dir .. "/train.jsonl"), recipe.data_sha256)
    t.eq({ #runs.list(), provider.uploads, #provider.jobs }, { 1, 1, 1 })
  end)
end)

t.test("a file that was changed after it was agreed to is not sent", function()
  in_folder(function(start, provider)
    provider.faults.put_file = "before"
    t.raises("reset", start)
    assert(fs.write(runs.dir(runs.list()[1].id) .. "/train.jsonl", "others"))
    local e = t.raises("was changed", start)
    t.eq({ e.kind, provider.uploads }, { "data", 0 })
  end)
end)

t.test("run.json names the job also when the crash came before it was written", function()
  in_folder(function(start, provider)
    provider.faults.get = "before"
    t.raises("reset", start)
    local summary = runs.list()[1]
    summary.job, summary.phase = nil, "upload"
    runs.save(summary)
    provider.faults.get = "before"
    t.raises("reset", start)
    t.eq(runs.list()[1].job, "ftjob-1")
    start()
    t.eq(runs.list()[1].model, "ft:fake")
  end)
end)

t.test("a hook that cancels each time is obeyed once; too late is no failure", function()
  in_folder(function(start, provider, recipe)
    local cancels = 0
    recipe.on.metrics = function() return { decision = "cancel", reason = "enough" } end
    recipe.on.finished = recipe.on.metrics
    provider.cancel = function()
      cancels = cancels + 1
      err.raise("provider", "the job has succeeded", { status = 400 })
    end
    local result, ui = start()
    t.eq({ result.state, cancels }, { "succeeded", 1 })
    t.has(table.concat(ui.notes, "\n"), "too late")
  end)
end)

t.test("a cancellation that did not get through is tried again by the next start", function()
  in_folder(function(start, provider, recipe)
    recipe.on.metrics = function(m) if m.step == 2 then return { decision = "cancel" } end end
    local cancel = provider.cancel
    provider.cancel = raised_after("network", "unplugged")
    t.raises("unplugged", start)
    provider.cancel = cancel
    t.eq(start().state, "cancelled")
  end)
end)

t.test("a crash between an event and its hook does not leave out the hook", function()
  in_folder(function(start, _, recipe)
    recipe.on.metrics = function(m) if m.step == 2 then error("killed", 0) end end
    t.raises("killed", start)
    recipe.on.metrics = function(m) if m.step == 2 then return { decision = "cancel" } end end
    t.eq(start().state, "cancelled")
  end)
end)

t.test("a recipe's folder that cannot be written does not hide the model", function()
  in_folder(function(start, _, recipe, dir)
    assert(fs.mkdir(dir .. "/fake.lock.json"))
    recipe.path = dir .. "/fake.lua"
    local result = start()
    t.eq({ result.model, runs.list()[1].state }, { "ft:fake", "succeeded" })
  end)
end)

t.test("which run is newer does not depend on the clock, nor on a damaged neighbour", function()
  in_folder(function(start)
    start()
    local summary = runs.list()[1]
    summary.created = "2099-01-01T00:00:00Z"
    runs.save(summary)
    local second = start({ new = true })
    t.eq(runs.list()[1].id, second.run)
    for name, bytes in pairs { a = "5", b = "{}", c = "null", d = '{"id":"d"' } do
      assert(fs.mkdir(runs.dir(name)))
      assert(fs.write(runs.dir(name) .. "/run.json", bytes))
    end
    t.eq(#runs.list(), 2)
  end)
end)

t.test("the command that continues a run names its limit and settings", function()
  t.eq(runs.command { provider = "local", recipe = "it's here/a.lua", limit = 5,
    overrides = { { "seed", "8" }, { "suffix", "a b" } } },
    "ftrun --local 'it'\\''s here/a.lua' --set seed=8 --set 'suffix=a b' --limit 5")
end)

t.test("a hook that fails is reported, and the run goes on", function()
  in_folder(function(start, _, recipe)
    recipe.on.metrics = function() err.raise("recipe", "attempt to index a nil value") end
    t.eq(start().state, "succeeded")
  end)
end)

t.test("an evaluation that was interrupted goes on with what is missing; the job is not touched", function()
  in_folder(function(start, provider, recipe)
    recipe.evaluate = { score = { kind = "exact" }, compare_with = "base" }
    recipe.gate = { exact = { at_least = 0.9 } }
    local asked = 0
    function provider:chat(o)
      asked = asked + 1
      if asked == 16 then err.raise("network", "no route", { code = "refused" }) end
      return { text = o.model == "ft:fake" and "yes" or "no", finish_reason = "stop" }
    end
    t.raises("no route", start)
    local polls = provider.polls
    local result = start()
    t.eq({ result.state, result.evaluation.compared, result.gate.passed }, { "succeeded", 12, true })
    t.eq({ #provider.jobs, provider.polls, asked }, { 1, polls, 25 })
    t.eq(result.evaluation.scores[1].verdict, "better")
    asked = 0
    t.eq(start().gate.passed, true)
    t.eq(asked, 0)
  end)
end)

t.test("a job that failed is not measured", function()
  in_folder(function(start, provider, recipe)
    recipe.evaluate = { score = { kind = "exact" }, compare_with = "base" }
    recipe.on.metrics = function() return { decision = "cancel", reason = "enough" } end
    function provider:chat() error "asked" end
    local result = start()
    t.eq({ result.state, result.evaluation }, { "cancelled" })
  end)
end)

t.test("the checkpoint that the recipe asks for is the model: in the result, the lock file and run.json", function()
  in_folder(function(start, provider, recipe, dir)
    recipe.checkpoint = { metric = "full_valid_loss" }
    function provider.checkpoints()
      local list = {}
      for i, loss in ipairs { 0.5, 0.2, 0.3 } do
        list[i] = { id = "c" .. i, model = "ft:fake:ckpt-step-" .. i, step = i, metrics = { full_valid_loss = loss } }
      end
      return list
    end
    local result, ui = start()
    t.eq(result.model, "ft:fake:ckpt-step-2")
    t.eq(result.checkpoint, { metric = "full_valid_loss", best = "lowest", value = 0.2, step = 2, of = 3,
      model = "ft:fake:ckpt-step-2" })
    t.eq(runs.list()[1].model, "ft:fake:ckpt-step-2")
    local lock = json.decode(fs.read(dir .. "/fake.lock.json"))
    t.eq({ lock.model, lock.checkpoint.value }, { "ft:fake:ckpt-step-2", 0.2 })
    t.has(table.concat(ui.notes, "\n"), "checkpoint step 2, full_valid_loss 0.2000, the lowest of 3 checkpoints")
  end)
end)

t.test("without a checkpoint that has the number, the job's own model counts", function()
  in_folder(function(start, _, recipe)
    recipe.checkpoint = { metric = "full_valid_loss" }
    t.eq(start().model, "ft:fake")
  end)
end)

t.test("the best checkpoint is the lowest loss or the highest of anything else, and of equals the last", function()
  local best = require "ftrun.run.best"
  local list = {}
  for i, v in ipairs { 0.4, 0.2, 0.2, 0.3 } do
    list[i] = { model = "m" .. i, step = i, metrics = { valid_loss = v, reward = v, odd = i == 2 and 1 or nil } }
  end
  t.eq(best.pick(list, { metric = "valid_loss" }).model, "m3")
  t.eq(best.pick(list, { metric = "reward" }).model, "m1")
  t.eq(best.pick(list, { metric = "reward", best = "lowest" }).model, "m3")
  t.eq({ best.pick(list, { metric = "odd" }).model, best.pick(list, { metric = "odd" }).of }, { "m2", 1 })
  t.eq(best.pick(list, { metric = "none" }), nil)
  t.eq(best.metrics(list), { "odd", "reward", "valid_loss" })
end)
