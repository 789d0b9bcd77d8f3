--- ftrun models [list|get|delete] [ID...]: tuned models and those that can be tuned, with the days that they have left.
local dates = require "ftrun.plan.dates"
local runs = require "ftrun.run.runs"
local things = require "ftrun.things"
local time = require "ft.time"

--- When the model is shut down: as the provider says, or else as ftrun knows.
local function with_dates(model, provider)
  -- what was learnt on this machine stays there
  local known = not model.shutdown_date and provider.name ~= "local" and dates.model(model.id)
  local ok, days = pcall(dates.days, model.shutdown_date or "")
  model.tuned = model.id:find "^ft:" ~= nil
  model.shutdown_date = model.shutdown_date or known and known.date or nil
  model.days_left = ok and days or known and known.days or nil
  return model
end

local function left(model)
  if not model.shutdown_date then return "no shutdown date" end
  if not model.days_left then return "shut down on " .. model.shutdown_date end
  return ("shut down on %s, %s"):format(model.shutdown_date,
    model.days_left > 0 and ("%d days left"):format(model.days_left) or "which is past")
end

-- The provider offers many models that have nothing to do with tuning.
local function list(provider, args)
  local shown = {}
  for _, model in ipairs(provider:models()) do
    if args.all or model.id:find "^ft:" or dates.shutdown[model.id] or provider.name == "local" then
      shown[#shown + 1] = with_dates(model, provider)
    end
  end
  table.sort(shown, function(a, b)
    if a.tuned ~= b.tuned then return a.tuned end
    return a.id < b.id
  end)
  return shown
end

--- Runs of this folder whose model it is.
local function warning(model)
  for _, summary in ipairs(runs.list()) do
    if summary.model == model.id then
      return ("%s is the model of run %s; what it has learnt cannot be had back"):format(model.id, summary.id)
    end
  end
end

return { main = things.command {
  name = "model", none = "the provider offers no tuned or tunable model to this key; --all shows the others",
  list = list,
  get = function(provider, id) return with_dates(provider:model(id), provider) end,
  row = function(model)
    return { model.created_at and time.iso8601(model.created_at) or "", left(model), model.id }
  end,
  warning = warning,
  ends = { delete = { asks = "%s\nDelete this model for ever?", did = "is deleted",
    run = function(provider, id) provider:delete_model(id) end } },
} }
