--- The run's state machine against a provider in memory that can lose answers and die: one job, one upload
--- per content, each event once, wherever it was interrupted.
local t = require "harness"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local time = require "ft.time"

--- Stands for dataset.prepare: writes what a recipe without a source would give.
package.loaded["ftrun.data.dataset"] = { prepare = function(recipe, o)
  local file = { path = o.dir .. "/train.jsonl", rows = 10, bytes = 3, sha256 = digest.sha256(recipe.data_sha256) }
  assert(fs.write(file.path, recipe.data_sha256))
  local validation
  if recipe.evaluate then
    local rows = {}
    for i = 1, 12 do
      rows[i] = json.encode { messages = { { role = "user", content = "Row " .. i },
        { role = "assistant", content = "yes" } } }
    end
    local text = table.concat(rows, "\n") .. "\n"
    validation = { path = o.dir .. "/validation.jsonl", rows = 12, bytes = #text, sha256 = digest.sha256(text) }
    assert(fs.write(validation.path, text))
  end
  return { train = file, validation = validation, rows = 10, written = 10, skipped = {}, sha256 = recipe.data_sha256 }
end }
local check = require("ftrun.plan").check
package.loaded["ftrun.plan"] = { make = function(recipe) return recipe.plan or { problems = {} } end, check = check }
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"

local function fake_recipe(dir)
  return { path = dir .. "/fake.lua", name = "fake", base_model = "gpt-4o-mini-2024-07-18", seed = 1,
    sha256 = ("a"):rep(64), data_sha256 = ("d"):rep(64), dataset = {}, hyperparameters = {}, overrides = {}, on = {},
    sources = { { path = "fake.lua", bytes = "return 1" } },
    call = function(_, hook, ...) return hook(...) end, listen = function() return {} end }
end

--- A provider that keeps what was created, and fails where `faults` says: faults.create = "before" | "after".
local function fake_provider()
  local p = { name = "local", uploads = 0, jobs = {}, files = {}, faults = {}, polls = 0, looks = 0 }
  local function fail(kind, sent) err.raise("network", "the connection was reset", { code = kind, sent = sent }) end
  local function maybe(what, when)
    if p.faults[what] == when then
      p.faults[what] = nil
      fail("reset", when == "after")
    end
  end
  function p:preflight() maybe("preflight", "before") end
  function p:find_file(o)
    for _, f in ipairs(p.files) do if f.filename == o.filename and f.bytes == o.bytes then return f end end
  end
  function p:put_file(o)
    maybe("put_file", "before")
    p.uploads = p.uploads + 1
    p.files[#p.files + 1] = { id = "file-" .. p.uploads, filename = o.filename, bytes = 3 }
    maybe("put_file", "after")
    return p.files[#p.files]
  end
  function p:create(o)
    maybe("create", "before")
    local job = { id = "ftjob-" .. (#p.jobs + 1), metadata = o.metadata, state = "running", status = "running",
      base_model = o.model, hyperparameters = {}, result_files = {} }
    p.jobs[#p.jobs + 1] = job
    maybe("create", "after")
    return job
  end
  function p:find(metadata)
    if metadata.ftrun_run then p.looks = p.looks + 1 end
    for _, job in ipairs(p.jobs) do
      local all = true
      for k, v in pairs(metadata) do all = all and job.metadata[k] == v end
      if all then return job end
    end
  end
  function p.model() end
  function p:pause(id) return self:cancel(id) end
  local function job_of(id) return p.jobs[tonumber(id:match("%d+$"))] end
  function p:get(id)
    maybe("get", "before")
    p.polls = p.polls + 1
    local job = job_of(id)
    if p.polls >= 4 then
      job.state, job.status, job.model = "succeeded", "succeeded", "ft:fake"
    end
    return job
  end
  function p:listed(after)
    local list, from = {}, after and tonumber(after:match("%d+$")) or 0
    for i = from + 1, p.polls * 2 do
      list[#list + 1] = { id = "ftevent-" .. i, created_at = 1, level = "info", kind = "metrics",
        metrics = { step = i, total_steps = 8, train_loss = 1 / i } }
    end
    maybe("events", "after")
    return list
  end
  function p:events(_, after)
    local list, i = self:listed(after), 0
    return function()
      i = i + 1
      return list[i]
    end
  end
  function p:checkpoints() return {} end
  function p:result() return "step,train_loss\n1,1\n" end
  function p:cancel(id)
    local job = job_of(id)
    job.state, job.status, p.polls = "cancelled", "cancelled", 1
    p.get = function() return job end
    return job
  end
  return p
end

local function quiet_ui()
  local ui = { notes = {}, events = {} }
  function ui.note(text) ui.notes[#ui.notes + 1] = text end
  function ui.event(event) ui.events[#ui.events + 1] = event end
  function ui.confirm() return true end
  for _, name in ipairs { "run", "phase", "progress", "plan", "past" } do ui[name] = function() end end
  return ui
end

--- Runs body(start, provider, recipe, dir) with the runs' folder in a temporary one.
local function in_folder(body)
  local folder <close> = t.folder()
  local root = runs.root
  runs.root = function() return folder.path .. "/.ftrun" end
  local _ <close> = setmetatable({}, { __close = function() runs.root = root end })
  local provider, recipe = fake_provider(), fake_recipe(folder.path)
  local function start(o)
    local options = { recipe = recipe, provider = provider, ui = quiet_ui() }
    for k, v in pairs(o or {}) do options[k] = v end
    return run.start(options), options.ui
  end
  body(start, provider, recipe, folder.path)
end

local function raised_after(kind, message, status)
  return function() err.raise(kind, message, { status = status }) end
end

local function steps_of(dir)
  local steps = {}
  for line in fs.read(dir .. "/metrics.jsonl"):gmatch("[^\n]+") do steps[#steps + 1] = json.decode(line).step end
  return steps
end

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

-- ---- the budget ----

--- A plan of a million tokens an epoch for gpt-4o-mini, whose epochs the provider settles at n.
local function billed(recipe, provider, max_usd, n)
  recipe.budget = { max_usd = max_usd }
  recipe.plan = { problems = {}, encoding = "o200k_base", train = { tokens = { total = 1000000 } },
    cost = require("ftrun.plan.cost").estimate { provider = "openai", model = "gpt-4o-mini", n_epochs = "auto",
      examples = 100, tokens_per_epoch = 1000000 } }
  local get = provider.get
  provider.get = function(self, id)
    local job = get(self, id)
    if self.polls >= 2 then job.hyperparameters = { n_epochs = n } end
    if job.state == "succeeded" then job.trained_tokens, job.finished_at = n * 1010000, 1 end
    return job
  end
  local cancel = provider.cancel
  provider.cancel = function(self, id)
    self.cancelled = (self.cancelled or 0) + 1
    if self.refuse_cancel then
      self.refuse_cancel = nil
      err.raise("network", "the connection was reset", { sent = true })
    end
    return cancel(self, id)
  end
end

local function events_of(dir, kind)
  local list = {}
  for line in fs.read(dir .. "/events.jsonl"):gmatch("[^\n]+") do
    local event = json.decode(line)
    if event.type == kind then list[#list + 1] = event end
  end
  return list
end

t.test("a plan over the budget ends the run before any request", function()
  in_folder(function(start, provider, recipe)
    recipe.plan = { problems = { { kind = "declined", code = "over_budget", message = "over the budget",
      advice = "" } } }
    provider.preflight = function() error("a request was made") end
    local e = t.raises("over the budget", start)
    t.eq({ e.kind, e.code, provider.uploads, #provider.jobs }, { "declined", "over_budget", 0, 0 })
    t.raises("over the budget", start)
    t.eq(#runs.list(), 0, "nothing is continued: the data may be another by then")
  end)
end)

t.test("within the budget usage goes through the stream once, and the end is compared with the plan", function()
  in_folder(function(start, provider, recipe, dir)
    billed(recipe, provider, 12, 3)
    local result, ui = start()
    t.eq(result.state, "succeeded")
    t.eq(events_of(result.dir, "usage"), {
      { type = "usage", n_epochs = 3, billed_tokens = 3000000, usd = 9, estimated = true },
      { type = "usage", n_epochs = 3, trained_tokens = 3030000, usd = 9.09 } })
    local seen = 0
    for _, event in ipairs(ui.events) do if event.type == "usage" then seen = seen + 1 end end
    t.eq(seen, 2)
    t.eq({ result.usage.planned_tokens, result.usage.usd }, { 3000000, 9.09 })
    t.ok(math.abs(result.usage.difference - 0.01) < 1e-9)
    local lock = json.decode(fs.read(dir .. "/fake.lock.json"))
    t.eq({ lock.price.usd_per_million, lock.estimate.usd, lock.budget.max_usd, lock.train.tokens, lock.trained_tokens },
      { 3, { min = 6, likely = 9, max = 12 }, 12, 1000000, 3030000 })
    t.has(lock.price.date, "2025")
  end)
end)

t.test("more epochs than the budget bears: the job is cancelled as soon as they are known, and told why", function()
  in_folder(function(start, provider, recipe)
    billed(recipe, provider, 12, 8)
    local result = start()
    t.eq({ result.state, result.error.code, provider.cancelled }, { "cancelled", "over_budget", 1 })
    t.has(result.error.message, "8 epochs, 8 000 000 tokens, which costs an estimated $24.00")
    t.eq(events_of(result.dir, "usage"),
      { { type = "usage", n_epochs = 8, billed_tokens = 8000000, usd = 24, estimated = true } })
    t.has(events_of(result.dir, "message")[1].message, "the budget is $12.00")
  end)
end)

t.test("a start after a crash before the cancellation cancels all the same", function()
  in_folder(function(start, provider, recipe)
    billed(recipe, provider, 12, 8)
    provider.refuse_cancel = true
    t.raises("the connection was reset", start)
    provider.polls = 1
    local result = start()
    t.eq({ result.state, result.error.code, provider.cancelled }, { "cancelled", "over_budget", 2 })
    t.eq(#events_of(result.dir, "usage"), 1)
  end)
end)

t.test("a job that ends before it can be cancelled has succeeded, whatever it cost", function()
  in_folder(function(start, provider, recipe)
    billed(recipe, provider, 12, 8)
    provider.cancel = function(self)
      self.polls = 4
      err.raise("provider", "the job has ended", { status = 400 })
    end
    local result = start()
    t.eq({ result.state, result.usage.usd }, { "succeeded", 24.24 })
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

--- Runs body(sleeps) with a clock that only sleeping moves on; sleeps counts those of a look for a lost job.
local function with_clock(body)
  local sleep, now, monotonic, passed, sleeps = time.sleep, time.now, time.monotonic, 0, { count = 0 }
  time.sleep = function(s)
    passed = passed + s
    if s == 3 then sleeps.count = sleeps.count + 1 end
    sleep(0)
  end
  time.now = function() return now() + passed end
  time.monotonic = function() return monotonic() + passed end
  local _ <close> = setmetatable({}, { __close = function()
    time.sleep, time.now, time.monotonic = sleep, now, monotonic
  end })
  body(sleeps, function(s) passed = passed + s end)
end

t.test("a job that a lost request made is looked for, for a minute, also by the next start", function()
  with_clock(function(sleeps, pass)
    in_folder(function(start, provider)
      provider.name, provider.base_url = "openai", "https://example.test/v1"
      local find = provider.find
      provider.find = function() return nil end
      provider.faults.create = "after"
      t.raises("reset", start)
      t.ok(sleeps.count >= 19 and sleeps.count <= 21, sleeps.count)
      pass(-50) -- the next start comes soon
      local late = 10
      provider.find = function(...)
        late = late - 1
        return late <= 0 and find(...) or nil
      end
      sleeps.count = 0
      provider.get = raised_after("network", "that is enough")
      t.raises("that is enough", start)
      t.eq({ #provider.jobs, late, sleeps.count }, { 1, 0, 9 })
    end)
  end)
end)

t.test("a job that shows up after a second one was asked for is cancelled, and told", function()
  with_clock(function(_, pass)
    in_folder(function(start, provider)
      provider.name, provider.base_url = "openai", "https://example.test/v1"
      provider.find = function() return nil end
      provider.faults.create = "after"
      t.raises("reset", start)
      pass(3600)
      local cancelled = {}
      provider.cancel = function(_, id)
        cancelled[#cancelled + 1] = id
        provider.jobs[1].state, provider.jobs[1].status = "cancelled", "cancelled"
      end
      provider.jobs = setmetatable(provider.jobs, { __call = function(list, _, o)
        t.ok(o.metadata.ftrun_run)
        return { list[2], list[1] }
      end })
      local result, ui = start()
      t.eq({ result.state, result.job, cancelled }, { "succeeded", "ftjob-2", { "ftjob-1" } })
      local told = {}
      for _, event in ipairs(ui.events) do if event.level == "warn" then told[#told + 1] = event.message end end
      t.eq(#told, 1)
      t.has(told[1], "ftjob-1 (running); it is cancelled, this run follows ftjob-2")
    end)
  end)
end)

t.test("a job that was refused is asked for again without waiting", function()
  in_folder(function(start, provider)
    provider.name, provider.base_url = "openai", "https://example.test/v1"
    provider.faults.create = "before"
    t.raises("reset", start)
    provider.get = raised_after("network", "that is enough")
    t.raises("that is enough", start)
    t.eq({ provider.looks, #provider.jobs }, { 1, 1 })
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

t.test("a run whose folder is gone takes its job over, and pays for nothing again", function()
  in_folder(function(start, provider, _, dir)
    local first = start()
    t.ok(fs.remove(dir .. "/.ftrun", true))
    local again, ui = start()
    t.eq({ again.state, again.job, again.model, #provider.jobs, provider.uploads },
      { "succeeded", first.job, "ft:fake", 1, 1 })
    t.ok(again.run ~= first.run)
    t.has(table.concat(ui.notes, "\n"),
      ("run %s, which is not here, trained exactly this: its model is used"):format(first.run))
    t.ok(#steps_of(again.dir) >= 8)
    t.ok(fs.remove(dir .. "/.ftrun", true))
    t.eq(start({ new = true }).job, "ftjob-2")
  end)
end)

t.test("a job that failed, or whose model was deleted, is not taken over", function()
  in_folder(function(start, provider, recipe, dir)
    start()
    t.ok(fs.remove(dir .. "/.ftrun", true))
    provider.model = raised_after("provider", "there is no such model", 404)
    t.eq(start().job, "ftjob-2")
    recipe.sha256 = ("b"):rep(64)
    t.eq(start().job, "ftjob-3")
    t.ok(fs.remove(dir .. "/.ftrun", true))
    for _, job in ipairs(provider.jobs) do job.state = "failed" end
    provider.polls = 0
    t.eq(start().job, "ftjob-4")
  end)
end)

-- ---- the same training by another text of the recipe ----

local function edit(recipe, letter) recipe.sha256 = letter:rep(64) end

t.test("a recipe edited elsewhere than in what is trained uses the model that is there, over no budget", function()
  in_folder(function(start, provider, recipe)
    local first = start()
    edit(recipe, "b")
    recipe.plan = { problems = { { kind = "declined", code = "over_budget", message = "over", advice = "" } } }
    local seen = {}
    recipe.on.metrics = function(m) seen[#seen + 1] = m.step end
    local second, ui = start()
    t.eq({ second.state, second.job, second.model, second.trained_by },
      { "succeeded", first.job, "ft:fake", first.run })
    t.ok(second.run ~= first.run)
    t.eq({ #provider.jobs, provider.uploads, #seen >= 8 }, { 1, 1, true }, "the new hooks see what was trained")
    t.has(table.concat(ui.notes, "\n"), ("run %s trained exactly this: its model is used"):format(first.run))
    local journal = fs.read(second.dir .. "/journal.jsonl")
    t.has(journal, ('"run":"%s"'):format(first.run))
    t.eq(journal:find "intent", nil)
    t.eq(start().run, second.run)
    edit(recipe, "c")
    t.eq(start().trained_by, first.run, "and not a run that took it over itself")
    edit(recipe, "d")
    recipe.plan = nil
    local third = start { new = true }
    t.eq({ third.job, third.trained_by, #provider.jobs }, { "ftjob-2", nil, 2 })
  end)
end)

t.test("whatever is asked of the provider makes another training", function()
  in_folder(function(start, provider, recipe)
    start()
    local changes = {
      function() recipe.seed = 2 end,
      function() recipe.suffix = "other" end,
      function() recipe.hyperparameters = { n_epochs = 2 } end,
      function() recipe.base_model = "gpt-4.1-mini-2025-04-14" end,
      function() recipe.data_sha256 = ("e"):rep(64) end,
      function() recipe.method = "dpo" end,
      function() recipe.evaluate = { score = { kind = "exact" } } end, -- the stand-in then makes validation rows
    }
    recipe.call = function() return 1 end
    for i, change in ipairs(changes) do
      change()
      edit(recipe, tostring(i))
      provider.polls = 3
      pcall(start)
      t.eq(#provider.jobs, i + 1, "change " .. i)
    end
    recipe.hyperparameters = { n_epochs = 2, batch_size = "auto" }
    edit(recipe, "9")
    pcall(start)
    t.eq(#provider.jobs, #changes + 1, "auto is what a provider does unasked")
  end)
end)

t.test("an edited recipe follows the open job of the run before it, and does not warn of it", function()
  in_folder(function(start, provider, recipe)
    provider.faults.get = "before"
    t.raises("the connection was reset", start)
    local first = runs.list()[1]
    edit(recipe, "b")
    local second, ui = start()
    t.eq({ second.job, second.trained_by, #provider.jobs, provider.uploads }, { first.job, first.id, 1, 1 })
    t.has(table.concat(ui.notes, "\n"), ("run %s is training exactly this: its job ftjob-1 (running) is followed")
      :format(first.id))
    edit(recipe, "a")
    t.eq({ start().run, #provider.jobs }, { first.id, 1 })
  end)
end)

t.test("a job whose answer the run before never got is found by the edited recipe", function()
  in_folder(function(start, provider, recipe)
    local create = provider.create
    provider.create = function(self, o)
      create(self, o)
      error("killed", 0)
    end
    t.eq({ pcall(start) }, { false, "killed" })
    provider.create = create
    edit(recipe, "b")
    t.eq({ start().job, #provider.jobs }, { "ftjob-1", 1 })
  end)
end)

t.test("a run that was confirmed before another trained the same does not train again, except with --new", function()
  in_folder(function(start, provider, recipe)
    provider.faults.put_file = "before"
    t.raises("reset", start)
    edit(recipe, "b")
    local trained = start()
    edit(recipe, "a")
    t.eq({ start().trained_by, #provider.jobs }, { trained.run, 1 })
    edit(recipe, "c")
    provider.faults.create = "before"
    t.raises("reset", start, { new = true })
    t.eq({ start().trained_by, #provider.jobs }, { nil, 2 })
  end)
end)

t.test("while another run starts the same training nobody is asked to pay for it", function()
  in_folder(function(start, provider, recipe)
    local other
    local ui = quiet_ui()
    ui.confirm = function()
      edit(recipe, "b")
      other = select(2, pcall(start))
      edit(recipe, "a")
      return true
    end
    t.eq(start({ ui = ui }).state, "succeeded")
    t.eq({ other.kind, #provider.jobs, #runs.list() }, { "busy", 1, 1 })
    t.has(other.message, "another run is starting exactly this training")
  end)
end)
