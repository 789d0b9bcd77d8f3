--- What a run would do and what it would cost, from the recipe and the prepared files alone: nothing here sends
--- anything. The facts are here, as a table that encodes as JSON; text.lua says them to people.
local amounts = require "ftrun.text.amounts"
local best = require "ftrun.run.best"
local budget = require "ftrun.plan.budget"
local cost = require "ftrun.plan.cost"
local dates = require "ftrun.plan.dates"
local deep = require "ftrun.data.deep"
local err = require "ftrun.err"
local json = require "ftrun.json"
local limits = require "ftrun.data.rules.limits"
local promote = require "ftrun.run.promote"
local request = require "ftrun.plan.request"
local scorable = require "ftrun.plan.scorable"
local source = require "ftrun.data.source"
local tally = require "ftrun.data.tally"
local tokens = require "ftrun.data.tokens"

local M = {}

---@class ftrun.Plan  a plain table that encodes as JSON
---@field recipe { name: string, path: string, sha256: string, overrides: { path: string, value: string }[] }
---@field provider string
---@field endpoint string?    where requests go, when it is not the provider's own address
---@field base_model string
---@field shutdown { date: string, days: integer, last_job: string?, last_job_days: integer? }?
---@field data { source: string, rows: integer, written: integer, skipped: table[], duplicates: table, sha256: string,
---  longest: table?, strata: table[]? }
---@field train ftrun.plan.Side
---@field validation ftrun.plan.Side?
---@field encoding string     that tokens are counted in
---@field encoding_note string?  when that is a guess
---@field cost ftrun.Cost     an estimate
---@field seconds { min: number, max: number }?  of the training, an estimate; nil where it cannot be known
---@field budget { max_usd: number }?
---@field checkpoint { metric: string, best: string }?  which one will be the tuned model
---@field request table       the job as it will be asked for; files by their name here, later by id
---@field requests { method: string, path: string, what: string, bytes: integer? }[]  all that create something
---@field findings ftrun.deep.Group[]  of the data doctor, by code
---@field warnings string[]
---@field problems ftrun.Problem[]  each of them keeps the run from starting

---@class ftrun.plan.Side  file_id alone for an uploaded file
---@field file_id string?
---@field rows integer?
---@field bytes integer?
---@field sha256 string?
---@field tokens { total: integer, billed: integer, min: integer, median: integer, p95: integer, max: integer,
---  longest: { line: integer, tokens: integer }, over: table?, histogram: ftrun.histogram.Bin[] }?

local function name_of(file)
  return file and (file.file_id or file.path:match("[^/]*$"))
end

local function shutdown_warning(recipe, shutdown)
  if shutdown.days <= 0 then return ("%s was shut down on %s"):format(recipe.base_model, shutdown.date) end
  if shutdown.last_job_days <= 0 then
    return ("the provider takes no fine-tuning jobs since %s"):format(shutdown.last_job)
  end
  if shutdown.days < 90 then
    return ("%s and models tuned from it are shut down on %s, in %d days; new jobs end on %s, in %d days"):format(
      recipe.base_model, shutdown.date, shutdown.days, shutdown.last_job, shutdown.last_job_days)
  end
end

-- A share is decided group by group: with few of them it may come out as quite another one.
local function share_warning(recipe, prepared)
  local share, file = recipe.split and recipe.split.validation or 1, prepared.validation
  if share >= 1 or not (file and file.rows) then return end
  local total = prepared.train.rows + file.rows
  if total < 50 or math.abs(file.rows / total - share) <= share / 2 then return end
  return ("%d of %d examples validate (%.0f %%), where %g %% were asked for: %s; validation = %d takes as many as fit")
    :format(file.rows, total, 100 * file.rows / total, 100 * share, recipe.split.group_by
      and "rows of one " .. recipe.split.group_by .. " stay together" or "each row is drawn by itself",
      math.floor(share * total + 0.5))
end

local function warnings(recipe, prepared, plan)
  local list = {}
  local function warn(...) list[#list + 1] = (...):format(select(2, ...)) end
  local d, duplicates = recipe.dataset, prepared.duplicates
  if d.kind == "postgres" and not d.query:lower():find("order%s+by") then
    warn("the query has no ORDER BY: the order of the rows, and with it the data's hash, may change")
  end
  if duplicates and duplicates.count > 0 then
    warn("%d examples are equal to an earlier one (first: %s)", duplicates.count, table.concat(duplicates.first, ", "))
  end
  for _, w in ipairs(prepared.warnings or {}) do
    warn("%s: %s (%d times, first: %s)", w.code, w.message, w.count, table.concat(w.first, ", "))
  end
  if prepared.train.rows and prepared.train.rows < 50 then
    warn("only %d training examples; 50 or more are usual", prepared.train.rows)
  end
  list[#list + 1] = share_warning(recipe, prepared)
  if recipe.method == "dpo" and not plan.cost.free then
    warn("how preference rows are billed is not published; counted are the question and both answers, once an epoch")
  end
  local score = recipe.evaluate and recipe.evaluate.score
  if type(score) == "table" and score.kind == "judge" and plan.cost.free then
    warn("the local learner cannot judge: answers will not be scored (ftrun eval --score token_f1 tries another score)")
  end
  if score and prepared.validation and prepared.validation.path then
    list[#list + 1] = scorable.warning(score, prepared.validation.path)
  end
  if not prepared.validation then warn("there is no validation: overfitting will not be seen") end
  if not plan.cost.free then
    if plan.encoding_note and plan.train.tokens then list[#list + 1] = plan.encoding_note end
    if plan.endpoint and plan.cost.price and not (recipe.prices and recipe.prices.training) then
      warn("requests go to %s, which may bill otherwise than the price here", plan.endpoint)
    end
    if recipe.hyperparameters.n_epochs == "auto" and plan.cost.usd then
      warn("the provider chooses the number of epochs, so the cost is a range; n_epochs = %d would settle it",
        plan.cost.epochs.likely)
    end
  end
  if recipe.wandb and recipe.wandb.log_datasets then
    warn("wandb.log_datasets: the training files, with their texts, go with the W&B run as files (not as artifacts)")
  end
  local ending = plan.shutdown and shutdown_warning(recipe, plan.shutdown)
  if ending then list[#list + 1] = ending end
  return list
end

local function requests(prepared)
  local list = {}
  for _, side in ipairs { "train", "validation" } do
    local file = prepared[side]
    if file and file.path then
      list[#list + 1] = { method = "POST", path = "/files", what = name_of(file), bytes = file.bytes }
    end
  end
  list[#list + 1] = { method = "POST", path = "/fine_tuning/jobs", what = "one job" }
  return list
end

-- ---- tokens ----

local function counted(file, counter, limit, on_progress)
  if not (counter and file.path) then return nil end
  local t = tally.file(file.path, counter, { limit = limit, on_progress = on_progress })
  local f = t.histogram:figures()
  return { total = f.sum, billed = t.billed, min = f.min, median = f.median, p95 = f.p95, max = f.max,
    longest = t.longest, over = t.over, histogram = json.array(t.histogram:bins()) }
end

local function side(file, counter, limit, on_progress)
  return file and { rows = file.rows, bytes = file.bytes, sha256 = file.sha256, file_id = file.file_id,
    tokens = counted(file, counter, limit, on_progress) }
end

-- Equal examples are told already when the rows are read.
local function findings(prepared, counter, options)
  if not prepared.train.path then return {} end
  local list = {}
  local groups = deep.prepared(prepared, { names = options.names, on_progress = options.on_inspect,
    count_tokens = counter.text and function(text) return counter:text(text) end })
  for _, group in ipairs(groups) do
    if group.code ~= "duplicate_row" or prepared.duplicates.count == 0 then
      group.first = json.array(group.first)
      list[#list + 1] = group
    end
  end
  return list
end

local function too_long(name, found, limit, model)
  local list = {}
  for i, f in ipairs(found.over.first) do list[i] = ("line %d: %s"):format(f.line, amounts.number(f.tokens)) end
  return { kind = "data", code = "too_long",
    message = ("%s: %s longer than the %s tokens that %s takes (%s%s)"):format(name,
      found.over.count == 1 and "1 example is" or found.over.count .. " examples are", amounts.number(limit), model,
      table.concat(list, ", "), found.over.count > #list and ", ..." or ""),
    advice = "The provider would cut off the end, and with it the answer. Shorten the text with ft.truncate." }
end

-- What the provider would refuse only after the files have gone up.
local function not_offered(recipe, plan, facts)
  local method = recipe.method
  if plan.provider == "local" and method ~= "supervised" then
    return { kind = "provider", code = "method_not_supported",
      message = ("the local provider learns from answers only, not by method = \"%s\""):format(method),
      advice = "Leave --local out, or take method = \"supervised\"." }
  elseif facts and facts.methods[method] == false then
    return { kind = "provider", code = "method_not_offered",
      message = ("%s cannot be tuned by method = \"%s\""):format(facts.name, method),
      advice = "Choose another base_model or method." }
  end
end

local function problems(recipe, plan, facts)
  local list, limit = {}, facts and facts.example_tokens
  list[1] = not_offered(recipe, plan, facts)
  for _, name in ipairs { "train", "validation" } do
    local found = plan[name] and plan[name].tokens
    if found and found.over then list[#list + 1] = too_long(name, found, limit, recipe.base_model) end
  end
  if recipe.promote then -- known before anything is paid for
    local ok, e = pcall(promote.check, recipe)
    if not ok and not err.is(e) then error(e, 0) end
    if not ok then list[#list + 1] = { kind = e.kind, code = "promote", message = e.message, advice = e.advice } end
  end
  list[#list + 1] = budget.problem(plan.cost, { max_usd = recipe.budget and recipe.budget.max_usd,
    model = recipe.base_model, examples = plan.data.written, file_id = plan.train.file_id })
  return list
end

---@class ftrun.plan.Options
---@field endpoint string?     address of the provider, when it is not its usual one
---@field counter table?       instead of the model's tokenizer
---@field on_progress fun(done: integer, total: integer)?  while tokens are counted
---@field on_inspect fun(done: integer, total: integer)?   while the data doctor looks at the rows
---@field names table?  of the rows, from dataset.prepare

--- Makes the plan. Reads the prepared files; waits: call it from a task.
---@param recipe ftrun.Recipe
---@param prepared ftrun.Prepared
---@param provider_name string
---@param options ftrun.plan.Options?
---@return ftrun.Plan
function M.make(recipe, prepared, provider_name, options)
  options = options or {}
  local duplicates = prepared.duplicates
  -- the local provider stands in for the model and has no dates
  local shutdown = provider_name ~= "local" and dates.model(recipe.base_model) or nil
  if shutdown then
    shutdown.last_job = dates.last_job
    shutdown.last_job_days = dates.days(dates.last_job)
  end
  local overrides = {}
  for i, o in ipairs(recipe.overrides) do overrides[i] = { path = o[1], value = o[2] } end
  local encoding, guess = tokens.encoding_of(recipe.base_model)
  local own <close> = not options.counter and prepared.train.path and tokens.counter { encoding = encoding } or nil
  local counter = options.counter or own
  local facts = provider_name ~= "local" and limits.model(recipe.base_model) or nil -- the local learner has no limit
  local limit = facts and facts.example_tokens
  local plan = {
    recipe = { name = recipe.name, path = recipe.path, sha256 = recipe.sha256, overrides = json.array(overrides) },
    provider = provider_name,
    endpoint = options.endpoint,
    base_model = recipe.base_model,
    shutdown = shutdown,
    data = { source = source.describe(recipe), rows = prepared.rows, written = prepared.written,
      skipped = json.array(prepared.skipped), sha256 = prepared.sha256,
      duplicates = duplicates and { count = duplicates.count, first = json.array(duplicates.first) },
      longest = prepared.longest, strata = prepared.strata and json.array(prepared.strata) },
    train = side(prepared.train, counter, limit, options.on_progress),
    validation = side(prepared.validation, counter, limit, options.on_progress),
    encoding = encoding,
    encoding_note = guess,
    request = request.of(recipe, name_of(prepared.train), name_of(prepared.validation)),
    requests = json.array(requests(prepared)),
    budget = recipe.budget,
    checkpoint = recipe.checkpoint and { metric = recipe.checkpoint.metric,
      best = recipe.checkpoint.best or best.direction(recipe.checkpoint.metric) },
  }
  local train = plan.train
  plan.cost = cost.estimate { model = recipe.base_model, provider = provider_name, examples = train.rows,
    tokens_per_epoch = train.tokens and train.tokens.billed, n_epochs = recipe.hyperparameters.n_epochs,
    prices = recipe.prices, method = recipe.method }
  plan.cost.unknown = json.array(plan.cost.unknown)
  plan.seconds = cost.seconds(provider_name, train.bytes and train.bytes + (plan.validation and plan.validation.bytes
    or 0), plan.cost.epochs)
  plan.findings = json.array(findings(prepared, counter, options))
  plan.warnings = json.array(warnings(recipe, prepared, plan))
  plan.problems = json.array(problems(recipe, plan, facts))
  return plan
end

--- Raises err when the plan must not be run: over the budget, or examples that would lose their answers.
---@param plan ftrun.Plan
function M.check(plan)
  local first, list = plan.problems[1], {}
  if not first then return end
  for i, p in ipairs(plan.problems) do list[i] = err.new(p.kind, p.message, { code = p.code, advice = p.advice }) end
  if #list == 1 then error(list[1], 0) end
  err.raise(first.kind, first.message, { code = first.code, list = list })
end

return M
