--- Measures a tuned model against the one it must beat: both are asked the validation rows of a run, which no training
--- has seen, and their answers are scored. A row that one of them could not be asked is left out on both sides, and
--- counted.
local amounts = require "ftrun.amounts"
local answers = require "ftrun.evaluate.answers"
local bootstrap = require "ftrun.bootstrap"
local calls = require "ftrun.wandb.calls"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local prices = require "ftrun.prices"
local read_rows = require("ftrun.evaluate.rows").read
local score = require "ftrun.score"
local time = require "ft.time"

local M = {}

---@class ftrun.Evaluation      evaluation.json
---@field rows integer          validation rows that were to be asked
---@field compared integer      of these, rows that base and tuned answered and that could be scored
---@field unscorable { count: integer, why: string, row: integer }?  rows whose expected answer cannot be scored
---@field silent integer        rows without an expected text
---@field models { base: ftrun.evaluate.Side, tuned: ftrun.evaluate.Side }
---@field scores ftrun.evaluate.Score[]  the main one first
---@field others table[]        further models: { model, rows, errors, ..., scores }
---@field confusion { labels: string[], base: integer[][], tuned: integer[][] }?
---@field cost { base: number?, tuned: number?, usd: number? }   US dollars, where prices are known
---@field tokens { base: table, tuned: table }
---@field latency { base: table?, tuned: table? }  seconds: mean, median, p95
---@field problem string?       why there are no scores
---@field seed integer
---@field recipe_sha256 string

---@class ftrun.evaluate.Score
---@field name string
---@field path string?          of a JSON value, or a label
---@field base table?           value, n rows, and p, r, f1 where it has them
---@field tuned table?
---@field difference number?    tuned - base
---@field interval { low: number, high: number }?  of the difference, 95 %
---@field verdict "better"|"worse"|"cannot tell"

-- ---- one model ----

-- The local learner stands in for a base model, and is not it.
local function title_of(provider, model)
  if provider ~= "local" or model:find "^ft:" then return model end
  return ("the untrained local learner (not %s)"):format(model)
end

local function latency_of(seconds)
  if #seconds == 0 then return nil end
  table.sort(seconds)
  local sum = 0
  for _, s in ipairs(seconds) do sum = sum + s end
  return { mean = sum / #seconds, median = bootstrap.quantile(seconds, 0.5), p95 = bootstrap.quantile(seconds, 0.95) }
end

---@class ftrun.evaluate.Side
---@field model string
---@field title string          what it is called: the local learner is no base model
---@field answered integer
---@field errors integer        rows that could not be asked
---@field first_error string?
---@field cut integer           answers that ended at the limit of their length

local function side(o, kept, model, rows)
  local result = { model = model, title = title_of(o.provider.name, model), answered = 0, errors = 0, cut = 0 }
  local tokens, seconds, counted = { prompt = 0, completion = 0, cached = 0 }, {}, {}
  for _, row in ipairs(rows) do
    local a = kept:of(model, row)
    if a and a.answer then
      result.answered = result.answered + 1
      if a.finish_reason == "length" then result.cut = result.cut + 1 end
      if not counted[a] then -- rows with the same question share an answer
        counted[a] = true
        local usage = a.usage or {}
        tokens.prompt = tokens.prompt + (usage.prompt_tokens or 0)
        tokens.completion = tokens.completion + (usage.completion_tokens or 0)
        local details = type(usage.prompt_tokens_details) == "table" and usage.prompt_tokens_details or {}
        tokens.cached = tokens.cached + (details.cached_tokens or 0)
        seconds[#seconds + 1] = a.seconds
      end
    else
      result.errors = result.errors + 1
      result.first_error = result.first_error or a and a.error
    end
  end
  return result, tokens, latency_of(seconds), prices.answers(o.provider.name, model,
    { prompt_tokens = tokens.prompt, completion_tokens = tokens.completion, cached_tokens = tokens.cached },
    o.recipe.prices)
end

-- ---- two models ----

local function sums(scorer, vectors)
  local total = {}
  for i = 1, scorer.width() do total[i] = 0 end
  for _, v in ipairs(vectors) do
    for i, amount in ipairs(v) do total[i] = total[i] + amount end
  end
  return total
end

-- The rows that both models answered, as vectors side by side.
local function paired(kept, scorer, rows, a, b, scores)
  local left, right = {}, {}
  for _, row in ipairs(rows) do
    local of_a, of_b = kept:of(a, row), kept:of(b, row)
    if of_a and of_a.answer and of_b and of_b.answer then
      left[#left + 1] = scorer.row(of_a.answer, row.expected)
      right[#right + 1] = scorer.row(of_b.answer, row.expected)
      scores[of_a], scores[of_b] = scorer.show(left[#left]), scorer.show(right[#right])
    end
  end
  return left, right
end

local function compare(scorer, left, right, o)
  local n, list = #left, {}
  local a, b = scorer.values(sums(scorer, left), n), scorer.values(sums(scorer, right), n)
  local intervals = bootstrap.intervals(scorer, left, right, { seed = o.recipe.seed,
    turn = function(done, total)
      o.progress("comparing", done, total)
      time.sleep(0) -- others have their turn
    end })
  for i, name in ipairs(scorer.names()) do
    local va, vb, interval = a[i] or nil, b[i] or nil, intervals[i] or nil
    if va then va.n = n end
    if vb then vb.n = n end
    list[i] = { name = name.name, path = name.path, base = va, tuned = vb, interval = interval,
      difference = va and vb and vb.value - va.value, verdict = bootstrap.verdict(interval, n) }
  end
  return json.array(list)
end

local function scorable(scorer, spec, rows)
  if type(spec) ~= "table" then return rows, nil end
  local list, out = {}, nil
  for _, row in ipairs(rows) do
    local v, why = scorer.row(row.expected, row.expected)
    if v then
      list[#list + 1] = row
    else
      out = out or { count = 0, why = why, row = row.row }
      out.count = out.count + 1
    end
  end
  return list, out
end

---@class ftrun.evaluate.Options
---@field recipe ftrun.Recipe
---@field provider table
---@field dir string              the run's folder
---@field validation string?      the file of held-out rows
---@field base string
---@field tuned string
---@field others string[]?
---@field limit integer?
---@field at_once integer?
---@field progress fun(label: string, done: integer, total: integer)

--- Asks what is missing, scores, and writes evaluation.jsonl and evaluation.json. Waits; call it from a task. Raises
--- what makes every question fail; answers that came before are kept. A scoring function of the recipe that fails is
--- told as the evaluation's `problem`.
---@param o ftrun.evaluate.Options
---@return ftrun.Evaluation
function M.run(o)
  local recipe, spec = o.recipe, o.recipe.evaluate.score
  local settings = { temperature = 0, seed = recipe.seed }
  local limit = math.min(recipe.evaluate.limit or math.huge, o.limit or math.huge)
  local rows, silent = {}, 0
  if o.validation then rows, silent = read_rows(o.validation, settings, limit) end
  local expected = {}
  for i, row in ipairs(rows) do expected[i] = row.expected end
  local scorer = score.new(spec, function(...) return recipe:call(...) end, expected)
  local asked, unscorable = scorable(scorer, spec, rows)
  local models, kept = { o.base, o.tuned }, answers.open(o.dir .. "/evaluation.jsonl")
  for _, model in ipairs(o.others or {}) do models[#models + 1] = model end
  do
    local logged <close> = calls.open { job_type = "eval", recipe = recipe, model = o.tuned, provider = o.provider.name,
      run = o.dir:match "[^/]*$" }
    kept:ask { provider = o.provider, models = models, rows = asked, settings = settings, at_once = o.at_once,
      on_record = logged.call, progress = function(done, total) o.progress("asking models", done, total) end }
  end

  local e = { rows = #rows, silent = silent, unscorable = unscorable, models = {}, cost = {}, tokens = {},
    latency = {}, scores = json.array {}, others = json.array {}, compared = 0, seed = recipe.seed,
    recipe_sha256 = recipe.sha256, at = time.iso8601(time.now()) }
  for _, name in ipairs { "base", "tuned" } do
    e.models[name], e.tokens[name], e.latency[name], e.cost[name] = side(o, kept, o[name], asked)
  end
  e.cost.usd = e.cost.base and e.cost.tuned and e.cost.base + e.cost.tuned
  local scores = {}
  local ok, why = pcall(function()
    local left, right = paired(kept, scorer, asked, o.base, o.tuned, scores)
    e.compared, e.scores = #left, compare(scorer, left, right, o)
    if scorer.confusion then
      local base, tuned = scorer.confusion(sums(scorer, left)), scorer.confusion(sums(scorer, right))
      e.confusion = { labels = base.labels, base = base.rows, tuned = tuned.rows }
    end
    for i, model in ipairs(o.others or {}) do
      local other, tokens, latency, usd = side(o, kept, model, asked)
      local a, b = paired(kept, scorer, asked, o.base, model, scores)
      other.tokens, other.latency, other.usd, other.rows, other.scores = tokens, latency, usd, #a,
        compare(scorer, a, b, o)
      e.others[i] = other
    end
  end)
  if not ok then
    -- a mistake in the author's function: the answers are there, and are scored again when it is mended
    if not (err.is(why) and why.kind == "recipe") then error(why, 0) end
    e.problem, e.scores = tostring(why), json.array {}
  end
  kept:save(scores)
  err.check("system", fs.write(o.dir .. "/evaluation.json", json.encode(e) .. "\n"))
  return e
end

--- What was left out, as lines for a person.
---@param e ftrun.Evaluation
---@return string[]
function M.notes(e)
  local list = {}
  local function add(...) list[#list + 1] = string.format(...) end
  if e.problem then add("nothing was scored: %s", e.problem) end
  local total = e.rows - (e.unscorable and e.unscorable.count or 0)
  for _, s in ipairs { e.models.base, e.models.tuned, table.unpack(e.others) } do
    if s.errors > 0 then
      add("%s: %d of %d rows could not be asked, and are left out on both sides (first: %s)", s.model, s.errors, total,
        s.first_error or "?")
    end
    if s.cut > 0 then add("%s: %s cut at the limit of length", s.model, amounts.count(s.cut, "answer")) end
  end
  if e.unscorable then
    add("%s left out, the first is line %d: %s", amounts.count(e.unscorable.count, "row"), e.unscorable.row,
      e.unscorable.why)
  end
  if e.silent > 0 then add("%s left out: without a text to expect", amounts.count(e.silent, "row")) end
  return list
end

return M
