--- The run that a command measures or promotes, and its recipe.
local err = require "ftrun.err"
local fs = require "ft.fs"
local log = require "ft.log"
local recipe = require "ftrun.recipe"
local runs = require "ftrun.run.runs"

local M = {}

--- The run that is named, which must have a model.
---@param name string?
---@return ftrun.Run.Summary
function M.run(name)
  local summary = runs.resolve(name, "model")
  if summary.model then return summary end
  err.raise("usage", ("run %s has no model (%s)"):format(summary.id, summary.state),
    { advice = summary.state == "open" and "Continue it: " .. runs.command(summary) or nil })
end

--- The recipe of a run as it is now, with the settings that the run was given; closes itself.
---@param summary ftrun.Run.Summary
---@param score table?  counts instead of the recipe's own
---@return ftrun.Recipe
---@return boolean aside  the recipe has a score of its own, which does not count now
function M.recipe(summary, score)
  local set = {}
  for i, o in ipairs(summary.overrides or {}) do set[i] = { o[1], o[2] } end
  local loaded = recipe.load(summary.recipe, { set = set, limit = summary.limit })
  local used = fs.read(runs.dir(summary.id) .. "/recipe.lua")
  if used and used ~= loaded.sources[1].bytes then
    log.warn("the recipe was changed since the run; its rules of now count")
  end
  local aside = score ~= nil and loaded.evaluate ~= nil
  if score then
    loaded.evaluate = { compare_with = loaded.evaluate and loaded.evaluate.compare_with or "base", score = score }
  end
  if not loaded.evaluate then
    loaded:close()
    err.raise("usage", summary.recipe .. " does not say how its model is measured",
      { advice = 'Say it in the recipe: evaluate = { score = ft.classification() } for labels, ft.exact() for texts,\n'
        .. 'ft.json_f1 { "elements[].number" } for JSON; or for this once:\n'
        .. ("ftrun eval %s --score classification"):format(summary.id) })
  end
  return loaded, aside
end

--- The folder of the answers that evaluations share.
---@return string
function M.shared() return runs.root() .. "/answers" end

--- The model to beat.
---@param loaded ftrun.Recipe
---@return string
function M.base(loaded)
  local other = loaded.evaluate.compare_with
  return other == "base" and loaded.base_model or other
end

return M
