--- What a run pays for: never more than the budget, never twice for one training, whatever was lost on the way.
local t = require "harness"
local double = require "run_double"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local runs = require "ftrun.run.runs"
local time = require "ft.time"

local in_folder, raised_after, steps_of = double.in_folder, double.raised_after, double.steps_of
local quiet_ui, events_of = double.quiet_ui, double.events_of

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
