--- The phases of a run, in order. Each takes the run's context and gives a plain value, which run/init.lua records
--- before it is used.
local best = require "ftrun.run.best"
local dataset = require "ftrun.data.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local evaluate = require "ftrun.evaluate"
local fs = require "ft.fs"
local gate = require "ftrun.evaluate.gate"
local hooks = require "ftrun.run.hooks"
local json = require "ftrun.json"
local lockfile = require "ftrun.run.lockfile"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local meter = require "ftrun.plan.meter"
local once = require "ftrun.run.once"
local plan = require "ftrun.plan"
local promote = require "ftrun.run.promote"
local providers = require "ftrun.providers"
local report = require "ftrun.report"
local request = require "ftrun.plan.request"
local training = require "ftrun.run.training"
local uploading = require "ftrun.run.upload"
local watch = require "ftrun.run.watch"

---@class ftrun.run.Context
---@field recipe table
---@field provider table
---@field summary ftrun.Run.Summary
---@field journal ftrun.Journal
---@field dir string
---@field trackers ftrun.Trackers
---@field ui table       what the caller shows; see terminal.new
---@field limit integer?
---@field new boolean     train again, whatever there is
---@field continued boolean  somebody agreed to it at an earlier start
---@field held ft.fs.Lock?  on the training, until its job is created
---@field prepared table  results of phases, by name
---@field names table?      of the rows that were prepared at this start
---@field plan table
---@field files table
---@field job table

local phases = {}

--- Makes the JSONL files; tells the provider's side nothing.
phases[1] = { name = "prepare", run = function(c)
  local made, names = dataset.prepare(c.recipe, { dir = c.dir, limit = c.limit,
    on_progress = function(done, total, unit) c.ui.progress("reading, " .. unit, done, total) end })
  c.names = names -- for messages of this start only: they are not in the journal
  return made
end }

phases[2] = { name = "plan", run = function(c)
  local made = plan.make(c.recipe, c.prepare, c.provider.name, { endpoint = providers.endpoint(c.provider.name),
    on_progress = function(done, total) c.ui.progress("counting tokens", done, total) end, names = c.names,
    on_inspect = function(done, total) c.ui.progress("looking at all rows together", done, total) end })
  c.ui.plan(made)
  c.summary.training = training.identity(c.recipe, c.provider, c.prepare)
  -- what is paid for already is over no budget
  if not training.known(c) then plan.check(made) end
  return made
end }

--- The job of another run that trained, or trains, what this one asks for, in place of a confirmation; nil when there
--- is none.
local function take_over(c)
  local job, from = training.find(c)
  if not job then return nil end
  if from ~= c.summary.id then c.ui.note(training.line(job, from)) end
  return { job = job.id, run = from, train = job.training_file, validation = job.validation_file }
end

--- The last moment without cost. The provider is asked whether it would take the job before anybody
--- is asked to pay for it.
phases[3] = { name = "confirm", run = function(c)
  c.held = training.hold(c)
  local there = take_over(c)
  if there then return there end
  plan.check(c.plan)
  training.mention_others(c)
  local model = c.provider:preflight { model = c.recipe.base_model, suffix = c.recipe.suffix,
    files = { c.prepare.train, c.prepare.validation } } or {}
  local shutdown = c.plan.shutdown
  if model.shutdown_date and not (shutdown and shutdown.date == model.shutdown_date) then
    c.ui.note(("the provider shuts %s down on %s, in %d days"):format(model.model, model.shutdown_date,
      model.days or 0))
  end
  if model.warning then log.warn(model.warning) end
  if not c.ui.confirm(c.plan) then
    err.raise("declined", "not started: the plan was not confirmed", { advice = "Confirm with y, or add --yes." })
  end
  return { new = c.new }
end }

local function upload(c, side, file)
  if not file then return nil end
  if file.file_id then return { id = file.file_id } end
  local known = c.journal:last("phase", "upload:" .. side)
  if known then return known end
  return (uploading.once(c, { name = side, path = file.path, bytes = file.bytes, sha256 = file.sha256,
    filename = ("%s-%s-%s.jsonl"):format(c.recipe.name, side, file.sha256:sub(1, 16)), purpose = "fine-tune",
    changed = "the file was changed after the run had prepared it", advice = "Start a new run with --new." }))
end

phases[4] = { name = "upload", run = function(c)
  local agreed = c.confirm
  if agreed.job then
    return { train = { id = agreed.train }, validation = agreed.validation and { id = agreed.validation } }
  end
  return { train = upload(c, "train", c.prepare.train), validation = upload(c, "validation", c.prepare.validation) }
end }

--- The run's id in the job's metadata is the key: a job that carries it is this run's job.
phases[5] = { name = "create", run = function(c)
  if c.confirm.job then
    if c.held then c.held:close() end
    return { job = c.confirm.job, hyperparameters = c.provider:get(c.confirm.job).hyperparameters }
  end
  local function find() return c.provider:find { ftrun_run = c.summary.id } end
  c.held = c.held or training.hold(c)
  local asked = c.journal:last("intent", "create")
  local job = asked and once.look(c, "create", c.journal:pending("create") ~= nil, find)
  -- between its confirmation and now another run may have trained the same
  local there = not job and c.continued and not c.confirm.new and take_over(c)
  if there then
    if there.run ~= c.summary.id then
      c.journal:done("confirm", there)
      c.confirm = there
    end
    job = c.provider:get(there.job)
  end
  if not job then
    local asking = request.of(c.recipe, c.upload.train.id, c.upload.validation and c.upload.validation.id)
    asking.metadata = training.mark(c.summary.training)
    asking.metadata.ftrun_run = c.summary.id
    asking.metadata.ftrun_recipe, asking.metadata.ftrun_data = c.recipe.sha256:sub(1, 16), c.prepare.sha256:sub(1, 16)
    asking.key = c.summary.id
    c.journal:intend("create", asking)
    job = once.make(c, "create", find, c.provider.create, asking)
  end
  c.held:close()
  if not c.confirm.job then c.ui.note("job " .. job.id .. " is created") end
  return { job = job.id, hyperparameters = job.hyperparameters }
end }

local HOOKS = { metrics = "metrics", checkpoint = "checkpoint", message = "event" }

phases[6] = { name = "watch", run = function(c)
  local history, past = {}, c.trackers.past
  local function tell(event)
    c.trackers.event(event)
    c.ui.event(event)
  end
  local gauge = meter.new { cost = c.plan.cost, max_usd = c.recipe.budget and c.recipe.budget.max_usd, past = past }
  local function react(event)
    local hook = HOOKS[event.type]
    if hook == "metrics" then
      hooks.call(c, hook, event.metrics, history)
    elseif hook then
      hooks.call(c, hook, event)
    end
    c.trackers.settle()
  end
  for _, event in ipairs(past) do
    if event.type == "metrics" then history[#history + 1] = event.metrics end
    c.ui.past(event)
  end
  hooks.opening(c)
  hooks.redo(c)
  -- an event is kept before its hook is called: a crash between the two leaves the newest one without an answer
  if #past > 0 then react(past[#past]) end
  local weigh, guard = gauge:guard(c.provider, tell), once.guard(c, tell)
  local function each(job)
    weigh(job)
    if guard then guard(job) end
    local reason = watch.is_open(job.state) and c.trackers.stopped()
    if reason then hooks.stop(c, reason) end
  end
  local job = watch.follow { provider = c.provider, job_id = c.create.job, past = past,
    each = each, emit = function(event)
      tell(event)
      if event.type == "metrics" then history[#history + 1] = event.metrics end
      react(event)
    end }
  if gauge:over() and job.state == "cancelled" then
    job.error = job.error or { code = "over_budget", message = gauge:why() }
  elseif gauge:over() then
    log.warn(gauge:why() .. "; the job had ended before it could be cancelled")
  end
  return job
end }

local function succeeded(c) return c.watch.state == "succeeded" end

--- The checkpoint that the recipe asks for, in place of the last state of the model. Without its number there is the
--- job's model, which is paid for.
phases[7] = { name = "choose", wanted = function(c) return c.recipe.checkpoint ~= nil and succeeded(c) end,
  run = function(c)
    local wanted = c.recipe.checkpoint
    local there = c.provider:checkpoints(c.watch.id)
    local chosen = best.pick(there, wanted)
    if not chosen then
      local names = table.concat(best.metrics(there), ", ")
      log.warn(("no checkpoint has %s (they have %s): the job's last model counts"):format(wanted.metric,
        names == "" and "no metrics" or names))
      return { model = c.watch.model, metric = wanted.metric }
    end
    c.ui.note("checkpoint " .. best.line(chosen))
    return chosen
  end }

local function model_of(c) return c.choose and c.choose.model or c.watch.model end

--- What the tuned model is worth, against the model that the recipe compares it with.
phases[8] = { name = "evaluate", wanted = function(c) return c.recipe.evaluate ~= nil and succeeded(c) end,
  run = function(c)
    local evaluation = evaluate.run { recipe = c.recipe, provider = c.provider, dir = c.dir,
      validation = c.prepare.validation and c.prepare.validation.path, tuned = model_of(c),
      base = measured.base(c.recipe), shared = measured.shared(), progress = c.ui.progress }
    for _, note in ipairs(evaluate.notes(evaluation)) do log.warn(note) end
    return evaluation
  end }

phases[9] = { name = "gate", wanted = function(c)
  return (c.recipe.gate or c.recipe.promote) ~= nil and c.evaluate ~= nil and succeeded(c)
end, run = function(c) return gate.decide(c.recipe.gate, c.evaluate) end }

--- The provider's table of steps. Without it the run is whole all the same: metrics.jsonl says as much.
local function keep_table(c, job)
  local ok, csv = pcall(c.provider.result, c.provider, job)
  if not ok then
    if not (err.is(csv) and csv.kind == "provider") then error(csv, 0) end
    log.warn("the job's result file cannot be had: " .. csv.message)
  elseif csv then
    err.check("system", fs.write(c.dir .. "/result.csv", csv))
  end
end

--- For people to read. What it shows is in the run's files: a report that cannot be made ends no run.
local function tell_report(c)
  local ok, path = pcall(report.write, c.dir)
  if ok then
    c.ui.note("report " .. path)
  else
    log.warn("the report could not be written: " .. tostring(path))
  end
end

-- The run's lock file; after a promotion the one that its record names.
local function lock_of(c)
  local path = c.dir .. "/lock.json"
  local text = c.promote and fs.read(path)
  if text then return text end
  text = lockfile.text(c) .. "\n"
  err.check("system", fs.write(path, text))
  return text
end

-- A try on the local provider leaves alone what is in use.
local function keeps(c)
  local value = promote.displaced(c.recipe, model_of(c))
  if value and not c.kept then
    c.kept = true
    c.ui.note(("not promoted: %s is %s, and this is a model of the local learner; all the same:\n  ftrun promote %s")
      :format(c.recipe.promote.key, value, c.summary.id))
  end
  return value ~= nil
end

--- Only a model that has passed its gate is put to use.
phases[10] = { name = "promote", wanted = function(c)
  return c.recipe.promote ~= nil and c.gate ~= nil and c.gate.passed and not (not c.promote and keeps(c))
end, run = function(c)
  return promote.run { recipe = c.recipe, run = c.summary.id, model = model_of(c), evaluation = c.evaluate,
    gate = c.gate, lock_sha256 = digest.sha256(lock_of(c)) }
end }

--- Metrics file, model id, lock file: what a colleague needs. A job that did not succeed ends here
--- with its reason.
phases[11] = { name = "result", run = function(c)
  local job = c.watch
  local result = { type = "result", run = c.summary.id, state = job.state, job = job.id, model = model_of(c),
    dir = c.dir, trained_tokens = job.trained_tokens, usage = meter.balance(c.plan.cost, job), error = job.error,
    trained_by = c.confirm.job and (c.confirm.run or "another run") or nil }
  if job.state == "succeeded" then
    keep_table(c, job)
    result.checkpoints = json.array(c.provider:checkpoints(job.id))
    result.checkpoint = c.choose
    result.evaluation, result.gate, result.promoted = c.evaluate, c.gate, c.promote
  end
  err.check("system", fs.write(c.dir .. "/result.json", json.encode(result) .. "\n"))
  local lock = c.recipe.path:gsub("%.lua$", "") .. ".lock.json"
  local ok, message = fs.write(lock, lock_of(c))
  -- the model is paid for: a folder that cannot be written must not hide it
  if not ok then log.warn("the lock file could not be written: " .. message) end
  local last = c.trackers.past[#c.trackers.past]
  if not (last and last.type == "result") then
    hooks.call(c, "finished", result) -- first: what it logs belongs to the run
    c.trackers.event(result)
  end
  tell_report(c)
  return result
end }

return phases
