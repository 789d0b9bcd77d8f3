--- Dates after which hosted models are gone, for the warning in a plan when the provider does not tell. The provider's
--- own answer (`shutdown_date` of a model) always wins over this table, which is of 2026-11-22.
local time = require "ft.time"

local M = {}

--- The day from which nobody can create fine-tuning jobs at OpenAI.
M.last_job = "2027-01-06"

---@type table<string, string>
M.shutdown = {
  ["gpt-4o-2024-08-06"] = "2027-01-14",
  ["gpt-4o-2024-11-20"] = "2027-01-14",
  ["gpt-4o-mini-2024-07-18"] = "2027-01-14",
  ["gpt-4.1-2025-04-14"] = "2027-01-14",
  ["gpt-4.1-mini-2025-04-14"] = "2027-01-14",
  ["gpt-4.1-nano-2025-04-14"] = "2026-10-23",
  ["gpt-4o-2024-05-13"] = "2026-10-23",
  ["gpt-3.5-turbo-0125"] = "2026-10-23",
  ["gpt-3.5-turbo-1106"] = "2026-09-28",
  ["o4-mini-2025-04-16"] = "2026-10-23",
  ["babbage-002"] = "2026-09-28",
  ["davinci-002"] = "2026-09-28",
}

local ALIASES = {
  ["gpt-4o"] = "gpt-4o-2024-08-06",
  ["gpt-4o-mini"] = "gpt-4o-mini-2024-07-18",
  ["gpt-4.1"] = "gpt-4.1-2025-04-14",
  ["gpt-4.1-mini"] = "gpt-4.1-mini-2025-04-14",
  ["gpt-4.1-nano"] = "gpt-4.1-nano-2025-04-14",
  ["gpt-3.5-turbo"] = "gpt-3.5-turbo-0125",
  ["o4-mini"] = "o4-mini-2025-04-16",
}

--- Whole days from now to a date ("2027-01-14"); negative when it is past.
---@param date string
---@param now number?  default: the clock
---@return integer
function M.days(date, now)
  return math.ceil((assert(time.parse(date)) - (now or time.now())) / 86400)
end

--- The dated snapshot that a name stands for; a tuned model's is that of its base.
---@param model string  "gpt-4o-mini", "ft:gpt-4o-mini-2024-07-18:org::id"
---@return string  the name itself when it is no known short one
function M.snapshot(model)
  local base = model:match("^ft:([^:]+)") or model
  return ALIASES[base] or base
end

--- When a model, or a tuned one ("ft:gpt-4o-mini-2024-07-18:org::id"), is shut down; nil when not known.
---@param model string
---@param now number?
---@return { date: string, days: integer }?
function M.model(model, now)
  local date = M.shutdown[M.snapshot(model)]
  return date and { date = date, days = M.days(date, now) }
end

return M
