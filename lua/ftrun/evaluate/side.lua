--- What one model's answers are as a whole: how many, what they cost, how long they took.
local bootstrap = require "ftrun.evaluate.bootstrap"
local prices = require "ftrun.plan.prices"

local M = {}

-- US dollars for all answers; nil when a price is not known. Those of the batch API have prices of their own.
local function usd_of(provider, model, by, own)
  local sum = 0.0
  for kind, t in pairs(by) do
    local usd = prices.answers(provider, model, { prompt_tokens = t.prompt, completion_tokens = t.completion,
      cached_tokens = t.cached }, own, kind == "batch")
    if not usd and (kind == "single" or t.prompt + t.completion > 0) then return nil end
    sum = sum + (usd or 0)
  end
  return sum
end

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
---@field earlier integer       answers that earlier evaluations had asked for
---@field batch integer         answers that came through the batch API
---@field usd_per_1000 number?  US dollars for a thousand such answers

--- What asking one model took, and how it went.
---@param o { provider: ftrun.Provider, recipe: ftrun.Recipe }
---@param kept ftrun.evaluate.Answers
---@param model string
---@param rows ftrun.evaluate.Row[]
---@return ftrun.evaluate.Side
---@return { prompt: integer, completion: integer, cached: integer } tokens
---@return table? latency  seconds: mean, median, p95
---@return number? usd
function M.of(o, kept, model, rows)
  local result = { model = model, title = title_of(o.provider.name, model), answered = 0, errors = 0, cut = 0,
    earlier = 0, batch = 0 }
  local tokens, seconds, counted, asked = { prompt = 0, completion = 0, cached = 0 }, {}, {}, 0
  local by = { single = { prompt = 0, completion = 0, cached = 0 }, batch = { prompt = 0, completion = 0, cached = 0 } }
  for _, row in ipairs(rows) do
    local a = kept:of(model, row)
    if a and a.answer then
      result.answered = result.answered + 1
      if a.finish_reason == "length" then result.cut = result.cut + 1 end
      if not counted[a] then -- rows with the same question share an answer
        counted[a], asked = true, asked + 1
        local usage = a.usage or {}
        local details = type(usage.prompt_tokens_details) == "table" and usage.prompt_tokens_details or {}
        for _, t in ipairs { tokens, a.batch and by.batch or by.single } do
          t.prompt = t.prompt + (usage.prompt_tokens or 0)
          t.completion = t.completion + (usage.completion_tokens or 0)
          t.cached = t.cached + (details.cached_tokens or 0)
        end
        if a.earlier then result.earlier = result.earlier + 1 end
        if a.batch then result.batch = result.batch + 1 end
        seconds[#seconds + 1] = a.seconds
      end
    else
      result.errors = result.errors + 1
      result.first_error = result.first_error or a and a.error
    end
  end
  local usd = usd_of(o.provider.name, model, by, o.recipe.prices)
  result.usd_per_1000 = usd and asked > 0 and usd / asked * 1000 or nil
  return result, tokens, latency_of(seconds), usd
end

return M
