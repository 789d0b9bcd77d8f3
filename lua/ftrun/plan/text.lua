--- A plan for people: what, how much data, what it costs, when, what is wrong - in this order, in 80 columns.
local amounts = require "ftrun.text.amounts"
local budget = require "ftrun.plan.budget"
local histogram = require "ftrun.data.histogram"
local methods = require "ftrun.recipe.method"
local providers = require "ftrun.providers"

local M = {}

local WIDTH = 80
local INDENT = 14
local STRATA = 12 -- values of stratify_by that are shown

-- label and text, broken at spaces so that no line passes the width
local function add(lines, label, text)
  local line, first = ("%-" .. INDENT .. "s"):format("  " .. label), true
  for word in text:gmatch("%S+") do
    if not first and utf8.len(line) and utf8.len(line) + 1 + (utf8.len(word) or #word) > WIDTH then
      lines[#lines + 1] = line
      line, first = (" "):rep(INDENT), true
    end
    line, first = line .. (first and "" or " ") .. word, false
  end
  lines[#lines + 1] = line
end

local function gap(lines)
  if lines[#lines] ~= "" then lines[#lines + 1] = "" end
end

-- ---- what ----

local function what(plan, lines)
  for _, o in ipairs(plan.recipe.overrides) do add(lines, "set", o.path .. " = " .. o.value) end
  add(lines, "model", plan.base_model .. (plan.request.suffix and ", suffix " .. plan.request.suffix or ""))
  local dialect = providers.dialects[plan.provider]
  add(lines, "provider", plan.provider == "local" and "local (a small learner on this machine stands in for the model)"
    or (dialect and dialect.title or plan.provider) .. (plan.endpoint and " at " .. plan.endpoint or ""))
  local h = plan.request.hyperparameters
  local method, settings = plan.request.method, {}
  for _, name in ipairs(methods.names(method)) do
    if h[name] ~= nil then settings[#settings + 1] = name .. " " .. h[name] end
  end
  add(lines, "training", (method == "supervised" and "" or "method " .. method .. ", ") .. table.concat(settings, ", "))
  if plan.request.grader then
    add(lines, "grader", ("%s (%s)"):format(plan.request.grader.type, plan.request.grader.name))
  end
  for _, i in ipairs(plan.request.integrations or {}) do
    add(lines, "W&B", ("the provider logs the job to the project %s too"):format(i.wandb.project))
  end
  local chosen = plan.checkpoint
  if chosen then add(lines, "checkpoint", ("the one with the %s %s"):format(chosen.best, chosen.metric)) end
  add(lines, "seed", tostring(plan.request.seed))
end

-- ---- how much data ----

local function data(plan, lines)
  local d = plan.data
  if plan.train.file_id then
    add(lines, "train", plan.train.file_id .. " (uploaded already)")
    if plan.validation then add(lines, "validation", plan.validation.file_id .. " (uploaded already)") end
    return
  end
  add(lines, "data", d.source)
  add(lines, "rows", ("%s read, %s written, %s skipped"):format(amounts.number(d.rows),
    amounts.count(d.written, "example"), amounts.number(d.rows - d.written)))
  for _, s in ipairs(d.skipped) do
    add(lines, "", ("%s skipped: %s (%s%s)"):format(amounts.number(s.count), s.reason, table.concat(s.first, ", "),
      s.count > #s.first and ", ..." or ""))
  end
  for _, name in ipairs { "train", "validation" } do
    local file = plan[name]
    if file then
      add(lines, name, ("%s, %s%s, sha256 %s"):format(amounts.count(file.rows, "example"),
        file.tokens and amounts.number(file.tokens.total) .. " tokens, " or "", amounts.size(file.bytes),
        file.sha256:sub(1, 12)))
    end
  end
  local t = plan.train.tokens
  if t then
    add(lines, "tokens", ("an example has %s to %s, median %s, 95 %% up to %s (%s)"):format(amounts.number(t.min),
      amounts.number(t.max), amounts.number(t.median), amounts.number(t.p95), plan.encoding))
    for _, line in ipairs(histogram.lines(t.histogram)) do lines[#lines + 1] = (" "):rep(INDENT) .. line end
  end
  for i, s in ipairs(d.strata or {}) do
    if i > STRATA then
      add(lines, "", ("and %d more values"):format(#d.strata - STRATA))
      break
    end
    add(lines, i == 1 and "strata" or "", ("%s: %s train, %s validate (%.0f %%)"):format(
      s.value == "" and "(none)" or s.value, amounts.number(s.train), amounts.number(s.validation),
      100 * s.validation / (s.train + s.validation)))
  end
  add(lines, "data hash", d.sha256:sub(1, 12) .. (d.longest
    and ("; the longest example is %s (%s)"):format(d.longest.key, amounts.size(d.longest.bytes)) or ""))
end

-- ---- what it costs, and when ----

local function whole(n) return ("%d"):format(n) end

local function why_unknown(plan)
  local c, list = plan.cost, {}
  for _, missing in ipairs(c.unknown) do
    list[#list + 1] = ({ price = "ftrun knows no training price of " .. plan.base_model,
      hours = "reinforcement is billed by the hour of training, and by the grader model's tokens",
      tokens = "the tokens of the uploaded file are not known here" })[missing]
  end
  return "not known: " .. table.concat(list, "; ")
end

local function money(plan, lines)
  local c = plan.cost
  if c.free then
    add(lines, "cost", "nothing: " .. c.price.source)
  elseif not c.usd then
    add(lines, "cost", why_unknown(plan))
    if not c.price and plan.request.method ~= "reinforcement" then
      add(lines, "", "give it in the recipe: prices = { training = ... } (USD per million tokens)")
    end
    if c.price then
      add(lines, "", ("%s per million tokens and epoch (%s)"):format(amounts.usd(c.price.usd_per_million),
        budget.origin(c.price)))
    end
  else
    add(lines, "cost", ("%s, an estimate"):format(amounts.range(c.usd, amounts.usd)))
    add(lines, "", budget.product(c) .. "; validation is free")
    add(lines, "", budget.origin(c.price))
  end
  if plan.request.hyperparameters.n_epochs == "auto" then
    add(lines, "epochs", amounts.range(c.epochs, whole) .. (c.epochs.min < c.epochs.max
      and ": auto leaves the number to the provider, whose rule is not published" or ""))
  end
  if plan.budget then
    local verdict = "enough for the estimate"
    if c.free then verdict = "nothing is billed" end
    for _, p in ipairs(plan.problems) do
      if p.kind == "declined" then verdict = "the run would be refused, see below" end
    end
    add(lines, "budget", ("%s: %s"):format(amounts.usd(plan.budget.max_usd), verdict))
  end
end

local function dates(plan, lines)
  if plan.seconds then
    local low, high = amounts.duration(plan.seconds.min), amounts.duration(plan.seconds.max)
    add(lines, "time", ("about %s of training on this machine"):format(low == high and low or low .. " to " .. high))
  end
  local s = plan.shutdown
  if s then
    add(lines, "dates", ("new jobs until %s (%d days left), the model and those tuned from it until %s (%d days left)")
      :format(s.last_job, math.max(0, s.last_job_days), s.date, math.max(0, s.days)))
  end
end

local function requests(plan, lines)
  for i, r in ipairs(plan.requests) do
    add(lines, i == 1 and "would send" or "", ("%s %s  %s%s"):format(r.method, r.path, r.what,
      r.bytes and ", " .. amounts.size(r.bytes) or ""))
  end
end

--- Lines of at most 80 columns (a long path alone may pass them).
---@param plan ftrun.Plan
---@param leave_problems boolean?  the caller will tell them
---@return string[]
function M.lines(plan, leave_problems)
  local lines = { ("Plan of %s (%s)"):format(plan.recipe.name, plan.recipe.path) }
  what(plan, lines)
  gap(lines)
  data(plan, lines)
  gap(lines)
  money(plan, lines)
  dates(plan, lines)
  gap(lines)
  requests(plan, lines)
  if #plan.problems + #plan.warnings + #plan.findings > 0 then gap(lines) end
  for _, p in ipairs(leave_problems and {} or plan.problems) do
    add(lines, "error", p.message)
    for text in p.advice:gmatch("[^\n]+") do
      local indent = text:match("^ +")
      if indent then lines[#lines + 1] = (" "):rep(INDENT) .. text else add(lines, "", text) end
    end
  end
  for _, w in ipairs(plan.warnings) do add(lines, "warning", w) end
  for _, f in ipairs(plan.findings) do
    -- an error of the data stops no run: what to do about it is its owner's choice
    add(lines, f.severity == "note" and "note" or "warning", f.count == 1 and ("%s: %s"):format(
      f.first[1] or f.code, f.message) or ("%d times %s (%s%s): %s"):format(f.count, f.code,
      table.concat(f.first, ", "), f.count > #f.first and ", ..." or "", f.message))
  end
  return lines
end

return M
