--- What training will cost, before it is paid: epochs x tokens x price. All of it is an estimate: the provider decides
--- how often an "auto" job reads the data, and bills by its own count of tokens.
local learn = require "ftrun.local.learn"
local prices = require "ftrun.plan.prices"

local M = {}

-- The heuristic for "auto" that OpenAI published with its notebook on preparing chat data (2023): three epochs, more
-- for few examples, fewer for many. What the service really does was never published.
local TARGET_EPOCHS = 3
local FEW_EXAMPLES, MOST_EPOCHS = 100, 25
local MANY_EXAMPLES, LEAST_EPOCHS = 25000, 1
local HIGHEST = 50 -- that a job may ask for

--- The heuristic itself.
---@param examples integer
---@return integer n_epochs
local function auto_epochs(examples)
  if examples < 1 then return TARGET_EPOCHS end
  if examples * TARGET_EPOCHS < FEW_EXAMPLES then return math.min(MOST_EPOCHS, FEW_EXAMPLES // examples) end
  if examples * TARGET_EPOCHS > MANY_EXAMPLES then return math.max(LEAST_EPOCHS, MANY_EXAMPLES // examples) end
  return TARGET_EPOCHS
end

---@class ftrun.cost.Range
---@field min number
---@field max number
---@field likely number

local function exactly(n) return { min = n, max = n, likely = n } end

--- Passes over the data. "auto" is not sure at a provider of others: from the usual three to what the heuristic says,
--- and one more on both sides.
---@param n_epochs "auto"|integer
---@param examples integer?   nil when not known
---@param provider string?
---@return ftrun.cost.Range
function M.epochs(n_epochs, examples, provider)
  if n_epochs ~= "auto" then return exactly(n_epochs) end
  if provider == "local" and examples then return exactly(learn.auto_epochs(examples)) end
  if not examples then return { min = 1, max = MOST_EPOCHS, likely = TARGET_EPOCHS } end
  local likely = auto_epochs(examples)
  return { min = math.max(1, math.min(likely, TARGET_EPOCHS) - 1),
    max = math.min(HIGHEST, math.max(likely, TARGET_EPOCHS) + 1), likely = likely }
end

local function map(range, fn)
  return { min = fn(range.min), max = fn(range.max), likely = fn(range.likely) }
end

--- US dollars of a number of tokens.
---@param tokens integer
---@param price { usd_per_million: number }
---@return number
function M.usd(tokens, price)
  return tokens * price.usd_per_million / 1e6
end

-- The local learner's pace, measured on 500 laws (9.3 MB) on 2026-11-22 with two shared cores: reading and looking
-- at the data once, then every epoch. Other machines are up to twice as fast or slow.
local READ_BYTES_S, EPOCH_BYTES_S, SPREAD = 4.5e6, 7.5e6, 2

--- How long the training takes; nil where nobody can say before (a provider's queue, its machines).
---@param provider string
---@param bytes integer?   of all files
---@param epochs ftrun.cost.Range
---@return { min: number, max: number }? seconds
function M.seconds(provider, bytes, epochs)
  if provider ~= "local" or not bytes then return nil end
  local s = bytes / READ_BYTES_S + bytes * epochs.likely / EPOCH_BYTES_S
  return { min = s / SPREAD, max = s * SPREAD }
end

---@class ftrun.Cost
---@field epochs ftrun.cost.Range
---@field tokens_per_epoch integer?
---@field billed_tokens ftrun.cost.Range?  nil when the tokens are not known
---@field usd ftrun.cost.Range?            nil when tokens or price are not known
---@field price { usd_per_million: number, date: string?, source: string }?
---@field free boolean?                    the provider takes no money
---@field unknown ("tokens"|"price"|"hours")[]  what is missing for a price; empty when there is one

--- The estimate for one training. Validation is not billed.
---@param o { model: string, provider: string, tokens_per_epoch: integer?, examples: integer?,
---  n_epochs: "auto"|integer, prices: table?, method: string? }  reinforcement is billed by the hour
---@return ftrun.Cost
function M.estimate(o)
  local epochs = M.epochs(o.n_epochs, o.examples, o.provider)
  local free = prices.free[o.provider]
  local hourly = o.method == "reinforcement" and not free
  local price = not hourly and prices.training(o.provider, o.model, o.prices) or nil
  local unknown = {}
  if not o.tokens_per_epoch and not free then unknown[#unknown + 1] = "tokens" end
  if not price then unknown[#unknown + 1] = hourly and "hours" or "price" end
  local billed = o.tokens_per_epoch and map(epochs, function(n) return n * o.tokens_per_epoch end)
  local usd
  if free then
    usd = exactly(0)
  elseif billed and price then
    usd = map(billed, function(tokens) return M.usd(tokens, price) end)
  end
  return { epochs = epochs, tokens_per_epoch = o.tokens_per_epoch, billed_tokens = billed, usd = usd, price = price,
    free = free, unknown = unknown }
end

return M
