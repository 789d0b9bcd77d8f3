--- What a person sees of a run, and what a program reads of it (`--json`: NDJSON on stdout). The
--- run itself never prints.
local amounts = require "ftrun.text.amounts"
local consent = require "ftrun.text.consent"
local gate = require "ftrun.evaluate.gate"
local json = require "ftrun.json"
local log = require "ft.log"
local meter = require "ftrun.plan.meter"
local plan_text = require "ftrun.plan.text"
local progress = require "ft.progress"
local promote = require "ftrun.run.promote"
local score_text = require "ftrun.score.text"

local terminal = {}

local BLOCKS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

--- A curve of at most `width` blocks, each the mean of its share of the values, scaled between
--- their least and largest.
---@param values number[]
---@param width integer
---@return string
function terminal.sparkline(values, width)
  local n = math.min(#values, width)
  local means, low, high = {}, math.huge, -math.huge
  for i = 1, n do
    local from, to = (i - 1) * #values // n + 1, i * #values // n
    local sum = 0
    for k = from, to do sum = sum + values[k] end
    means[i] = sum / (to - from + 1)
    low, high = math.min(low, means[i]), math.max(high, means[i])
  end
  for i = 1, n do
    local share = high > low and (means[i] - low) / (high - low) or 0
    means[i] = BLOCKS[1 + math.floor(share * (#BLOCKS - 1) + 0.5)]
  end
  return table.concat(means)
end

local MOST_LOSSES = 256

--- Adds a loss to a curve of bounded length: full, it is thinned out to the means of its pairs.
local function add_loss(curve, loss)
  curve.sum, curve.count = curve.sum + loss, curve.count + 1
  if curve.count < curve.each then return end
  curve[#curve + 1], curve.sum, curve.count = curve.sum / curve.count, 0, 0
  if #curve <= MOST_LOSSES then return end
  local half = #curve // 2
  for i = 1, half do curve[i] = (curve[2 * i - 1] + curve[2 * i]) / 2 end
  for i = #curve, half + 1, -1 do curve[i] = nil end
  curve.each = curve.each * 2
end

local STATE_TEXT = {
  validating = "the provider checks the files", queued = "waiting in the provider's queue",
  running = "training", paused = "paused", succeeded = "the job has succeeded",
  failed = "the job has failed", cancelled = "the job was cancelled",
}

local function number(v)
  return v and ("%.4f"):format(v) or "-"
end

local function usage_line(event)
  local epochs = event.n_epochs and amounts.count(event.n_epochs, "epoch") .. ", " or ""
  if event.estimated then
    return ("the provider trains %s%s tokens by our count%s"):format(epochs, amounts.number(event.billed_tokens),
      event.usd and ": an estimated " .. amounts.usd(event.usd) or "; no price is known")
  end
  return ("the provider has trained %s%s tokens%s"):format(epochs, amounts.number(event.trained_tokens),
    event.usd and event.usd > 0 and ": " .. amounts.usd(event.usd) .. " at the plan's price" or "")
end

--- One line for an event of the stream; nil for those that a person need not read.
---@return string?
function terminal.line(event)
  if event.type == "state" then
    return STATE_TEXT[event.state] or "the provider reports the state '" .. tostring(event.status) .. "'"
  elseif event.type == "message" then
    return (event.level == "info" and "" or event.level .. ": ") .. event.message
  elseif event.type == "metrics" then
    local m = event.metrics
    local text = ("step %d/%s loss %s accuracy %s"):format(event.step or 0, event.total_steps or "?",
      number(m.train_loss), number(m.train_mean_token_accuracy))
    if m.full_valid_loss then
      text = text .. (", validation %s %s"):format(number(m.full_valid_loss),
        number(m.full_valid_mean_token_accuracy))
    end
    return text
  elseif event.type == "checkpoint" then
    return ("checkpoint at step %d: %s"):format(event.step, event.model)
  elseif event.type == "usage" then
    return usage_line(event)
  end
end

---@class ftrun.terminal.Options
---@field json boolean?
---@field quiet boolean?
---@field yes boolean?    do not ask
---@field free boolean?   nothing to confirm: the run costs nothing

--- The `ui` of run.start.
---@param o ftrun.terminal.Options
function terminal.new(o)
  local ui = { losses = { each = 1, sum = 0, count = 0 } }
  if o.json or o.quiet then progress.disable() end

  local function say(text)
    if not o.quiet then log.info(text) end
  end

  -- unsaid while the run may turn out to be one that is there already
  function ui.run(summary, unsaid)
    ui.summary = summary
    if not unsaid then say(("run %s on %s"):format(summary.id, summary.provider)) end
  end

  function ui.phase(name)
    ui.current = name
    progress.finish()
  end

  function ui.progress(label, done, total) progress.update(label, done, total) end

  function ui.note(text) say(text) end

  function ui.plan(made)
    progress.finish()
    if o.json then json.print { type = "plan", plan = made } end
    for _, line in ipairs(plan_text.lines(made, true)) do say(line) end
  end

  --- Without a terminal to ask there is no consent: only --yes, or a run that costs nothing, goes
  --- on.
  function ui.confirm(made)
    if o.yes or o.free then return true end
    local usd = made.cost and made.cost.usd
    return consent(("Start this run %s?"):format(usd and "for an estimated " .. amounts.range(usd, amounts.usd)
      or "at a cost that is NOT KNOWN"), o.quiet)
  end

  local function show_metrics(event)
    local loss = event.metrics.train_loss
    if loss then add_loss(ui.losses, loss) end
    progress.update("training", event.step or 0, event.total_steps,
      ("loss %s %s"):format(number(loss), terminal.sparkline(ui.losses, 16)))
  end

  --- Events of an earlier start: they feed the curve, nothing else.
  function ui.past(event)
    local loss = event.type == "metrics" and event.metrics.train_loss
    if loss then add_loss(ui.losses, loss) end
  end

  function ui.event(event)
    if o.json then json.print(event) end
    if event.type == "metrics" then
      show_metrics(event)
      if event.metrics.full_valid_loss then say(terminal.line(event)) end
    else
      if event.type == "state" and event.state ~= "running" then progress.finish() end
      -- a checkpoint has had its message from the provider already, and what was trained is said at the end
      if event.type ~= "checkpoint" and not (event.type == "usage" and not event.estimated) then
        say(terminal.line(event))
      end
    end
  end

  --- `unfinished`: the command that measures and records what came of the job.
  function ui.result(result, unfinished)
    progress.finish()
    if o.json then json.print(result) end
    local usage = result.usage
    if result.state == "succeeded" then say(("model %s"):format(result.model)) end
    -- what costs nothing is not accounted for
    if result.trained_by then
      say("trained, and paid for, by " .. result.trained_by)
    elseif usage and not (usage.price and usage.price.usd_per_million == 0) then
      say(meter.balance_line(usage))
    end
    for _, line in ipairs(result.evaluation and score_text.lines(result.evaluation) or {}) do say(line) end
    for _, reason in ipairs(result.gate and gate.reasons(result.gate) or {}) do say("gate " .. reason) end
    if result.promoted then say("promoted: " .. promote.line(result.promoted)) end
    if result.state == "succeeded" then
      if result.dir then say(("results in %s"):format(result.dir)) end
      if unfinished then
        say("the run is not finished: what is left (measuring, report, lock file) does:\n  " .. unfinished)
      elseif result.run then
        say(('ask it: ftrun chat --run %s "..."'):format(result.run))
      end
    end
  end

  return ui
end

return terminal
