--- Measures a tuned model against the one it must beat: both are asked the validation rows of a run, which no training
--- has seen, and their answers are scored. A row that one of them could not be asked is left out on both sides, and
--- counted. The same for any models on any rows.
local amounts = require "ftrun.text.amounts"
local answers = require "ftrun.evaluate.answers"
local batches = require "ftrun.evaluate.batches"
local bootstrap = require "ftrun.evaluate.bootstrap"
local calls = require "ftrun.wandb.calls"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local prices = require "ftrun.plan.prices"
local read_rows = require("ftrun.evaluate.rows").read
local score = require "ftrun.score"
local side = require("ftrun.evaluate.side").of
local time = require "ft.time"

local M = {}

local TURN_S = 0.02

---@class ftrun.Evaluation      evaluation.json
---@field rows integer          validation rows that were to be asked
---@field compared integer      of these, rows that base and tuned answered and that could be scored
---@field unscorable { count: integer, why: string, row: integer }?  rows whose expected answer cannot be scored
---@field silent integer        rows without an expected text
---@field models { base: ftrun.evaluate.Side, tuned: ftrun.evaluate.Side? }  any two models, when `data` is there
---@field scores ftrun.evaluate.Score[]  the main one first
---@field others table[]        further models: { model, rows, errors, ..., scores }
---@field confusion { labels: string[], base: integer[][], tuned: integer[][] }?
---@field judge ftrun.evaluate.Judge?  who graded the answers, where a model did
---@field cost { base: number?, tuned: number?, usd: number? }   US dollars, where prices are known
---@field tokens { base: table, tuned: table }
---@field latency { base: table?, tuned: table? }  seconds: mean, median, p95
---@field problem string?       why there are no scores
---@field partial integer?      only so many rows were asked, by a limit of the command line
---@field data string?          the file of rows, when it is not a run's validation file
---@field file string           where this was written
---@field seed integer
---@field temperature number
---@field scored_by table|string  the recipe's `evaluate.score`
---@field recipe_sha256 string

---@class ftrun.evaluate.Score
---@field name string
---@field path string?          of a JSON value, or a label
---@field base table?           value, n rows, and p, r, f1 where it has them
---@field tuned table?
---@field difference number?    tuned - base
---@field interval { low: number, high: number }?  of the difference, 95 %
---@field verdict "better"|"worse"|"cannot tell"

-- ---- two models ----

local function sums(scorer, vectors)
  local total = {}
  for i = 1, scorer.width() do total[i] = 0 end
  for _, v in ipairs(vectors) do
    for i, amount in ipairs(v) do total[i] = total[i] + amount end
  end
  return total
end

-- Lets others have their turn, once in a while.
local function breath()
  local at = time.monotonic() + TURN_S
  return function()
    if time.monotonic() < at then return end
    time.sleep(0)
    at = time.monotonic() + TURN_S
  end
end

-- The rows that both models answered, as vectors side by side; of one model alone when there is no second.
local function paired(kept, scorer, rows, a, b, scores)
  local left, right, rest = {}, {}, breath()
  for _, row in ipairs(rows) do
    local of_a, of_b = kept:of(a, row), b and kept:of(b, row)
    if of_a and of_a.answer and (not b or of_b and of_b.answer) then
      local va, vb = scorer.row(of_a.answer, row.expected, of_a), b and scorer.row(of_b.answer, row.expected, of_b)
      if va then scores[of_a] = scorer.show(va) end
      if vb then scores[of_b] = scorer.show(vb) end
      if va and (vb or not b) then -- one side without a grade of the judge leaves the row out on both
        left[#left + 1], right[#right + 1] = va, vb or nil
      end
      rest()
    end
  end
  return left, right
end

-- Of one model: there is nothing to compare it with.
local function alone(scorer, left)
  local list, values = {}, scorer.values(sums(scorer, left), #left)
  for i, name in ipairs(scorer.names()) do
    local value = values[i] or nil
    if value then value.n = #left end
    list[i] = { name = name.name, path = name.path, base = value }
  end
  return json.array(list)
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
  if type(spec) ~= "table" or scorer.ask then return rows, nil end
  local list, out, rest = {}, nil, breath()
  for _, row in ipairs(rows) do
    rest()
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

---@class ftrun.evaluate.Judge : ftrun.evaluate.Side
---@field prompt string           all that it is told, but for the answer
---@field prompt_sha256 string
---@field unreadable { count: integer, why: string }?  its answers that hold no grade
---@field labels table<string, table<string, integer>>?  model -> label -> how often it was given
---@field tokens table
---@field usd number?             US dollars, apart from what the models themselves cost

-- Has another model grade the answers, where the score is made so.
local function judge(o, kept, scorer, models, rows, settings)
  if not scorer.ask then return nil end
  if o.provider.name == "local" then
    err.raise("recipe", "evaluate.score: the local learner cannot judge answers",
      { advice = "Use another score to try the recipe: ftrun eval --score token_f1" })
  end
  local list = {}
  for _, row in ipairs(rows) do
    for _, model in ipairs(models) do
      local record = kept:of(model, row)
      if record and record.answer then list[#list + 1] = { row = row, record = record } end
    end
  end
  local said, asked, unreadable = scorer.ask(list, { dir = o.dir, provider = o.provider, settings = settings,
    shared = o.shared, at_once = o.at_once,
    progress = function(done, total) o.progress("asking the judge", done, total) end })
  local result, tokens, latency, usd = side(o, said, scorer.model, asked)
  result.tokens, result.latency, result.usd, result.unreadable = tokens, latency, usd, unreadable
  for _, item in ipairs(list) do
    local record = item.record
    local label = record.judged and record.judged.label
    if label then
      result.labels = result.labels or {}
      local of = result.labels[record.model] or {}
      of[label], result.labels[record.model] = (of[label] or 0) + 1, of
    end
  end
  result.prompt, result.prompt_sha256 = scorer.prompt, digest.sha256(scorer.prompt)
  return result
end

---@class ftrun.evaluate.Options
---@field recipe ftrun.Recipe
---@field provider table
---@field dir string              the run's folder
---@field validation string?      the file of held-out rows
---@field data string?            its name, when it is not a run's
---@field base string
---@field tuned string?           nil: only base is measured
---@field others string[]?
---@field limit integer?          of the command line: what comes of fewer rows than there are replaces no evaluation
---@field at_once integer?
---@field aside string?          names an evaluation that is not the run's own, so that it replaces none
---@field shared string?          folder of the answers that evaluations share
---@field batch boolean?          ask through the batch API
---@field progress fun(label: string, done: integer, total: integer)

-- Asks what is missing. Batches that an earlier start has begun are paid: they come first.
local function ask(o, kept, models, rows, settings)
  local wanted = o.batch or o.recipe.evaluate.batch
  local work <close> = (wanted or batches.pending(o.dir))
    and batches.open { dir = o.dir, provider = o.provider, progress = o.progress } or nil
  local by_prompt = {}
  for _, row in ipairs(work and rows or {}) do by_prompt[row.prompt_sha256] = row end
  local logged <close> = calls.open { job_type = "eval", recipe = o.recipe, model = o.tuned or o.base,
    provider = o.provider.name, run = o.dir:match "[^/]*$" }
  kept:ask { provider = o.provider, models = models, rows = rows, settings = settings, at_once = o.at_once,
    shared = o.shared, on_record = function(r)
      logged.call { model = r.model, seconds = r.seconds, usage = r.usage, error = r.error,
        usd = r.batch and r.usage and prices.answers(o.provider.name, r.model, r.usage, o.recipe.prices, true) or nil }
    end,
    progress = function(done, total) o.progress("asking models", done, total) end,
    before = work and function(keep) work:finish(keep, by_prompt) end,
    batch = wanted and function(list, keep)
      work:write(list, settings)
      work:finish(keep, by_prompt)
    end }
end

--- Asks what is missing, scores, and writes evaluation.jsonl and evaluation.json. Waits; call it from a task. Raises
--- what makes every question fail; answers that came before are kept. A scoring function of the recipe that fails is
--- told as the evaluation's `problem`.
---@param o ftrun.evaluate.Options
---@return ftrun.Evaluation
function M.run(o)
  local recipe, spec = o.recipe, o.recipe.evaluate.score
  local settings = { temperature = 0, seed = recipe.seed }
  local rows, silent, partial = {}, 0, nil
  if o.validation then rows, silent = read_rows(o.validation, settings, recipe.evaluate.limit) end
  if o.limit and o.limit < #rows then rows, partial = table.move(rows, 1, o.limit, 1, {}), o.limit end
  local expected = {}
  for i, row in ipairs(rows) do expected[i] = row.expected end
  local scorer = score.new(spec, function(...) return recipe:call(...) end, expected)
  local asked, unscorable = scorable(scorer, spec, rows)
  local models, kept = { o.base, o.tuned }, answers.open(o.dir .. "/evaluation.jsonl")
  for _, model in ipairs(o.others or {}) do models[#models + 1] = model end
  ask(o, kept, models, asked, settings)

  local e = { rows = #rows, silent = silent, unscorable = unscorable, models = {}, cost = {}, tokens = {},
    latency = {}, scores = json.array {}, others = json.array {}, compared = 0, seed = recipe.seed,
    temperature = settings.temperature, recipe_sha256 = recipe.sha256, at = time.iso8601(time.now()), data = o.data,
    scored_by = type(spec) == "table" and spec or "a function of the recipe",
    partial = partial, file = ("%s/evaluation%s%s.json"):format(o.dir, o.aside and "-" .. o.aside or "",
      partial and "-first-" .. partial or "") }
  for _, name in ipairs { "base", o.tuned and "tuned" } do
    e.models[name], e.tokens[name], e.latency[name], e.cost[name] = side(o, kept, o[name], asked)
  end
  if e.cost.base and (e.cost.tuned or not o.tuned) then e.cost.usd = e.cost.base + (e.cost.tuned or 0) end
  local scores = {}
  local ok, why = pcall(function()
    e.judge = judge(o, kept, scorer, models, asked, settings)
    local left, right = paired(kept, scorer, asked, o.base, o.tuned, scores)
    e.compared, e.scores = #left, o.tuned and compare(scorer, left, right, o) or alone(scorer, left)
    if scorer.confusion then
      local base, tuned = scorer.confusion(sums(scorer, left)), o.tuned and scorer.confusion(sums(scorer, right)) or {}
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
  kept:save(scores, partial ~= nil or o.aside ~= nil)
  err.check("system", fs.write(e.file, json.encode(e) .. "\n"))
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
  if e.partial then
    add("only the first %s%s", amounts.count(e.partial, "row"),
      e.data and "" or ": the run's evaluation and its gate stay as they were")
  end
  local sides = { e.models.base }
  sides[#sides + 1] = e.models.tuned
  table.move(e.others, 1, #e.others, #sides + 1, sides)
  for _, s in ipairs(sides) do
    if s.errors > 0 then
      add("%s: %d of %d rows could not be asked, and are left out on both sides; the first: %s", s.model, s.errors,
        total, s.first_error or "?")
    end
    if s.cut > 0 then add("%s: %s cut at the limit of length", s.model, amounts.count(s.cut, "answer")) end
  end
  local judged = e.judge
  if judged and judged.errors > 0 then
    add("the judge %s could not be asked about %s, which have no grade; the first: %s", judged.model,
      amounts.count(judged.errors, "answer"), judged.first_error or "?")
  end
  if judged and judged.unreadable then
    add("the judge %s gave no grade to %s: %s", judged.model, amounts.count(judged.unreadable.count, "answer"),
      judged.unreadable.why)
  end
  for _, s in ipairs(judged and sides or {}) do
    if s.model == judged.model then add("%s graded its own answers", s.model) end
  end
  if e.unscorable then
    add("%s left out, the first is line %d: %s", amounts.count(e.unscorable.count, "row"), e.unscorable.row,
      e.unscorable.why)
  end
  if e.silent > 0 then add("%s left out: without a text to expect", amounts.count(e.silent, "row")) end
  return list
end

return M
