--- What tuning and using models costs, in US dollars per million tokens: the one place for prices. Each provider's
--- table has its date and source; a model that is not here has no known price, and none is guessed. A recipe's `prices`
--- win.
local dates = require "ftrun.plan.dates"

local M = {}

---@class ftrun.prices.Table
---@field date string     when the prices were valid, as exactly as it is known
---@field source string
---@field models table<string, { training: number?, input: number?, cached: number?, output: number?, batch: table? }>

---@type table<string, ftrun.prices.Table>
local tables = {
  -- The page itself lists fine-tuning prices no longer, so these are the last that were seen. Batch prices stand as
  -- they were printed: those of gpt-4o are not half of the others.
  openai = {
    date = "late 2025",
    source = "archived copy of https://platform.openai.com/docs/pricing",
    models = {
      ["gpt-4.1-2025-04-14"] = { training = 25, input = 3, cached = 0.75, output = 12,
        batch = { input = 1.5, cached = 0.5, output = 6 } },
      ["gpt-4.1-mini-2025-04-14"] = { training = 5, input = 0.8, cached = 0.2, output = 3.2,
        batch = { input = 0.4, cached = 0.1, output = 1.6 } },
      ["gpt-4.1-nano-2025-04-14"] = { training = 1.5, input = 0.2, cached = 0.05, output = 0.8,
        batch = { input = 0.1, cached = 0.025, output = 0.4 } },
      ["gpt-4o-2024-08-06"] = { training = 25, input = 3.75, cached = 1.875, output = 15,
        batch = { input = 2.225, cached = 0.9, output = 12.5 } },
      ["gpt-4o-mini-2024-07-18"] = { training = 3, input = 0.3, cached = 0.15, output = 1.2,
        batch = { input = 0.15, cached = 0.075, output = 0.6 } },
      ["gpt-3.5-turbo-0125"] = { training = 8, input = 3, output = 6, batch = { input = 1.5, output = 3 } },
      -- reinforcement fine-tuning only, billed by the hour: no price per trained token
      ["o4-mini-2025-04-16"] = { input = 4, cached = 1, output = 16, batch = { input = 2, cached = 0.5, output = 8 } },
      ["davinci-002"] = { training = 6, input = 12, output = 12 },
      ["babbage-002"] = { training = 0.4, input = 1.6, output = 1.6 },
    },
  },
}

--- Providers that take no money.
M.free = { ["local"] = true }

local KEYS = { "training", "input", "cached", "output", "batch" }

---@class ftrun.Prices
---@field training number?   US dollars per million tokens, like the others
---@field input number?
---@field cached number?
---@field output number?
---@field batch { input: number?, cached: number?, output: number? }?
---@field date string?       of the table, when a value comes from it
---@field source string?
---@field recipe { keys: string[], date: string?, source: string }?  what the recipe replaced

--- The prices of a model at a provider, with a recipe's own put over them; nil when none is known.
---@param provider string
---@param model string    a short name, a snapshot or a tuned model
---@param own table?      the recipe's `prices`
---@return ftrun.Prices?
function M.find(provider, model, own)
  if M.free[provider] then
    return { training = 0, input = 0, cached = 0, output = 0, source = "the local provider takes no money" }
  end
  local known = tables[provider]
  local row = known and known.models[dates.snapshot(model)]
  if not row and not own then return nil end
  local result, keys = { date = row and known.date, source = row and known.source }, {}
  for _, key in ipairs(KEYS) do
    local value = row and row[key]
    if type(value) == "table" then value = { input = value.input, cached = value.cached, output = value.output } end
    if own and type(own[key]) == "table" then
      value = value or {}
      for k, v in pairs(own[key]) do
        value[k] = v
        keys[#keys + 1] = key .. "." .. k
      end
    elseif own and own[key] then
      value = own[key]
      keys[#keys + 1] = key
    end
    result[key] = value
  end
  table.sort(keys)
  if #keys > 0 then result.recipe = { keys = keys, date = own.date, source = own.source or "the recipe" } end
  return result
end

--- What answers of a model cost, in US dollars; nil when that is not known.
---@param provider string
---@param model string
---@param usage { prompt_tokens: integer?, completion_tokens: integer?, cached_tokens: integer? }
---@param own table?
---@param batch boolean?  they came through the batch API
---@return number?
function M.answers(provider, model, usage, own, batch)
  -- a hosted base model has another price than those tuned from it, and that is not in the table
  if not model:find "^ft:" and not M.free[provider] then return nil end
  local p = M.find(provider, model, own)
  if batch and not M.free[provider] then p = p and p.batch end
  if not (p and p.input and p.output) then return nil end
  local cached = usage.cached_tokens or 0
  return (((usage.prompt_tokens or 0) - cached) * p.input + cached * (p.cached or p.input)
    + (usage.completion_tokens or 0) * p.output) / 1e6
end

--- The price of training alone, with its own date and source; nil when it is not known.
---@param provider string
---@param model string
---@param own table?
---@return { usd_per_million: number, date: string?, source: string }?
function M.training(provider, model, own)
  local found = M.find(provider, model, own)
  if not (found and found.training) then return nil end
  local from = not M.free[provider] and own and own.training and found.recipe or found
  return { usd_per_million = found.training, date = from.date, source = from.source }
end

return M
