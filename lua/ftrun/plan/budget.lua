--- `budget = { max_usd = N }`: what a run may cost at most. Here by the plan's highest estimate, before anything is
--- sent; while the job runs, meter.lua keeps it by what the provider itself reports.
local amounts = require "ftrun.text.amounts"
local cost = require "ftrun.plan.cost"

local M = {}

--- Below this many dollars two sums are the same.
M.NOTHING = 1e-9

---@class ftrun.Problem  what keeps a plan from being run
---@field kind string      of err
---@field code string
---@field message string
---@field advice string

local function problem(code, message, advice)
  return { kind = "declined", code = code, message = message, advice = advice }
end

--- "3 123 456 tokens x 3 epochs x $3.00 per million"
---@param c ftrun.Cost
---@return string
function M.product(c)
  local e = c.epochs
  return ("%s tokens x %s x %s per million"):format(amounts.number(c.tokens_per_epoch),
    e.min == e.max and amounts.count(e.max, "epoch") or ("%d to %d epochs"):format(e.min, e.max),
    amounts.usd(c.price.usd_per_million))
end

--- "price of late 2025, archived copy of ...": never without where it is from.
---@param price { date: string?, source: string }
---@return string
function M.origin(price)
  return (price.date and "price of " .. price.date .. ", " or "price from ") .. price.source
end

local function ways_out(c, max_usd, examples)
  local ways = {}
  local one = cost.usd(c.tokens_per_epoch, c.price)
  local epochs = (max_usd + M.NOTHING) // one
  if epochs >= 1 and epochs < c.epochs.max then
    ways[#ways + 1] = ("--set hyperparameters.n_epochs=%d  (estimated %s)"):format(epochs, amounts.usd(epochs * one))
  end
  local limit = examples and math.floor(examples * max_usd / c.usd.max)
  if limit and limit >= 20 and c.epochs.min == c.epochs.max then
    ways[#ways + 1] = ("--limit %d  (about so many examples fit)"):format(limit)
  end
  ways[#ways + 1] = ("--set budget.max_usd=%.2f  (if it is worth that)"):format(
    math.ceil(c.usd.max * 100 - M.NOTHING) / 100)
  return "What fits:\n  " .. table.concat(ways, "\n  ")
end

--- What is wrong with an estimate under a budget; nil when it fits, when there is none, and where nothing is billed.
---@param c ftrun.Cost
---@param o { max_usd: number?, model: string, examples: integer?, file_id: string? }
---@return ftrun.Problem?
function M.problem(c, o)
  local max_usd = o.max_usd
  if not max_usd or c.free then return nil end
  if c.unknown[#c.unknown] == "hours" then
    return problem("no_price", ("the budget of %s cannot be kept: reinforcement is billed by the hour, and nobody "
      .. "knows the hours before"):format(amounts.usd(max_usd)),
      "Take the budget out of the recipe, and watch the job.")
  end
  if not c.price then
    return problem("no_price", ("the budget of %s cannot be kept: ftrun knows no training price of %s")
      :format(amounts.usd(max_usd), o.model),
      "Look it up and give it, in US dollars per million tokens: prices = { training = 3.00 } in the recipe, or\n"
      .. "--set prices.training=3.00. Without a budget the run starts at an unknown cost.")
  end
  if not c.tokens_per_epoch then
    return problem("no_tokens", ("the budget of %s cannot be kept: the tokens of the %s are not known"):format(
      amounts.usd(max_usd), o.file_id and "uploaded file " .. o.file_id or "training file"),
      "Name a local file instead of an uploaded one, or take the budget out of the recipe.")
  end
  if c.usd.max <= max_usd + M.NOTHING then return nil end
  local estimate = amounts.usd(c.usd.max)
  if estimate == amounts.usd(max_usd) then estimate = ("$%.6f"):format(c.usd.max) end
  return problem("over_budget", ("over the budget: training is estimated at %s%s, the budget is %s (%s; %s)"):format(
    c.usd.min < c.usd.max and "up to " or "", estimate, amounts.usd(max_usd), M.product(c), M.origin(c.price)),
    ways_out(c, max_usd, o.examples))
end

return M
