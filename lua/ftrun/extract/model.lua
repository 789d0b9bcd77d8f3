--- Which model extracts: the one that is named, that of a run, the promoted one, or the newest of the recipe.
local err = require "ftrun.err"
local measured = require "ftrun.evaluate.measured"
local runs = require "ftrun.run.runs"
local secrets = require "ft.secrets"

local M = {}

-- The setting that the recipe promotes into.
local function promoted(recipe)
  local key = recipe.promote and recipe.promote.key or "OPENAI_MODEL"
  local ok, value = pcall(secrets.setting, key)
  return ok and value or nil, key
end

---@param recipe ftrun.Recipe
---@param args { model: string?, run: string?, ["local"]: boolean? }
---@return string model
---@return "openai"|"local" provider
---@return string why     in words
function M.choose(recipe, args)
  local other = args["local"] and "local" or nil
  local newest, known = nil, {}
  for _, run in ipairs(runs.list()) do
    if run.model then
      known[run.model] = known[run.model] or run
      if run.name == recipe.name and (not other or run.provider == other) then newest = newest or run end
    end
  end
  if args.model then
    return args.model, other or known[args.model] and known[args.model].provider or "openai", "as named"
  end
  if args.run then
    local run = measured.run(args.run)
    return run.model, run.provider, "of run " .. run.id
  end
  local value, key = promoted(recipe)
  local run = value and known[value]
  -- without a run of this recipe here, whoever set it knows why
  if value and (run and (not other or run.provider == other) or not run and not newest) then
    return value, run and run.provider or other or "openai", "as " .. key .. " says"
  end
  if newest then return newest.model, newest.provider, "of the newest run, " .. newest.id end
  err.raise("usage", ("%s has no model yet"):format(recipe.name), { advice = ("Train one: ftrun %s%s\n"
    .. "or name one: --model ID, or %s=ID in .env"):format(other and "--local " or "", recipe.path, key) })
end

return M
