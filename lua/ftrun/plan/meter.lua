--- What a job costs while it runs and at its end, by what the provider reports of it.
local amounts = require "ftrun.text.amounts"
local budget = require "ftrun.plan.budget"
local cost = require "ftrun.plan.cost"
local journal = require "ftrun.run.journal"
local runs = require "ftrun.run.runs"
local watch = require "ftrun.run.watch"

local M = {}

local Meter = {}
Meter.__index = Meter

--- Follows what a job costs. Where the plan knows no price or tokens it reports tokens only.
---@param o { cost: ftrun.Cost?, max_usd: number?, past: table[]? }  past: events of earlier starts
---@return ftrun.Meter
function M.new(o)
  local meter = setmetatable({ cost = o.cost or {}, max_usd = o.max_usd }, Meter)
  for _, event in ipairs(o.past or {}) do
    if event.type == "usage" then
      meter.last = event
      meter:weigh(event.trained_tokens or event.billed_tokens, event)
    end
  end
  return meter
end

-- Remembers the first sight of too many tokens: what a cancelled job is billed in the end may be below the budget.
function Meter:weigh(tokens, event)
  local usd = self.cost.price and tokens and cost.usd(tokens, self.cost.price)
  if not self.crossed and self.max_usd and usd and usd > self.max_usd + budget.NOTHING then
    self.crossed = { tokens = tokens, usd = usd, n_epochs = event.n_epochs, estimated = event.estimated }
  end
  return usd
end

local function same(a, b)
  return a and a.trained_tokens == b.trained_tokens and a.billed_tokens == b.billed_tokens and a.n_epochs == b.n_epochs
end

--- What is new about the cost of a job, as a `usage` event of the run's stream; nil when nothing is.
---   { type = "usage", n_epochs, billed_tokens, usd, estimated = true }  as soon as the provider has settled the epochs
---   { type = "usage", n_epochs, trained_tokens, usd }                   as soon as it has counted
---@param job ftrun.Job
---@return table? event
function Meter:read(job)
  local n, each = math.tointeger((job.hyperparameters or {}).n_epochs), self.cost.tokens_per_epoch
  local trained = job.trained_tokens and job.trained_tokens > 0 and job.trained_tokens
  local event
  -- tokens may be counted while the job still trains: what is ahead of it counts too
  if n and each and not job.finished_at and not self.cost.free then
    event = { type = "usage", n_epochs = n, billed_tokens = n * each, estimated = true }
    event.usd = self:weigh(n * each, event)
  end
  if trained then
    event = { type = "usage", n_epochs = n, trained_tokens = trained }
    event.usd = self:weigh(trained, event)
  end
  if not event or same(self.last, event) then return nil end
  self.last = event
  return event
end

--- Whether the job costs more than the budget, as far as was seen.
---@return boolean
function Meter:over()
  return self.crossed ~= nil
end

--- Why the job must not go on.
---@return string
function Meter:why()
  local c, price = self.crossed, self.cost.price
  return ("over the budget: the provider trains %s%s tokens, which costs %s%s (%s per million; %s); the budget is %s")
    :format(c.n_epochs and amounts.count(c.n_epochs, "epoch") .. ", " or "", amounts.number(c.tokens),
      c.estimated and "an estimated " or "", amounts.usd(c.usd), amounts.usd(price.usd_per_million),
      budget.origin(price), amounts.usd(self.max_usd))
end

--- What looks at the job of every poll (`each` of watch.follow): tells usage, and cancels the job as soon as it costs
--- more than the budget. The number of epochs is settled before the first step, so this is early.
---@param provider ftrun.Provider
---@param tell fun(event: table)  takes events of the run's stream
---@return fun(job: ftrun.Job)
function Meter:guard(provider, tell)
  local asked = false
  return function(job)
    local event = self:read(job)
    if event then tell(event) end
    if asked or not self:over() or not watch.is_open(job.state) then return end
    asked = true
    tell { type = "message", level = "error", message = self:why() .. "; the job is cancelled" }
    local ok, e = pcall(provider.cancel, provider, job.id)
    -- it may have ended in between
    if not ok and watch.is_open(provider:get(job.id).state) then error(e, 0) end
  end
end

--- What a run's own plan said about money; nil for a job of others.
---@param summary ftrun.Run.Summary?
---@return ftrun.Cost?
function M.planned(summary)
  for _, record in ipairs(summary and journal.read(runs.dir(summary.id) .. "/journal.jsonl") or {}) do
    if record.phase == "plan" then return record.data.cost end
  end
end

---@class ftrun.meter.Balance
---@field trained_tokens integer   as the provider counted them
---@field usd number?              at the plan's price
---@field price table?             that price, with date and source
---@field planned_tokens integer?  by our count, for the epochs that were really trained
---@field planned_usd number?
---@field difference number?       0.01: one per cent more was trained than planned

--- The end: what was trained beside what was planned; nil when the provider has counted nothing.
---@param c ftrun.Cost?
---@param job ftrun.Job
---@return ftrun.meter.Balance?
function M.balance(c, job)
  local trained = job.trained_tokens
  if not trained then return nil end
  c = c or {}
  local result = { trained_tokens = trained, price = c.price, usd = c.price and cost.usd(trained, c.price) }
  -- the local learner counts words of its own, and a job that was cut short has trained less than all
  if c.free or job.state ~= "succeeded" or not c.tokens_per_epoch then return result end
  local n = math.tointeger((job.hyperparameters or {}).n_epochs) or c.epochs.likely
  result.planned_tokens = n * c.tokens_per_epoch
  result.planned_usd = c.price and cost.usd(result.planned_tokens, c.price)
  if result.planned_tokens > 0 then result.difference = trained / result.planned_tokens - 1 end
  return result
end

--- The balance in words.
---@param b ftrun.meter.Balance
---@return string
function M.balance_line(b)
  local text = "trained " .. amounts.number(b.trained_tokens) .. " tokens"
  if b.difference then
    text = text .. (math.abs(b.difference) < 0.0005 and ", as planned"
      or (", planned %s (%+.1f %%)"):format(amounts.number(b.planned_tokens), b.difference * 100))
  end
  if b.usd and b.usd > 0 then
    text = text .. ("; at %s per million %s (%s)"):format(amounts.usd(b.price.usd_per_million), amounts.usd(b.usd),
      budget.origin(b.price))
  end
  return text
end

return M
