--- A job as a recipe asks for it: the same for the plan and for the provider.
local json = require "ftrun.json"
local wandb = require "ftrun.wandb.settings"

local M = {}

local LISTS = { input = true, range = true }

-- As OpenAI's API names it.
local function grader_of(grader)
  if not grader then return nil end
  local wire = { type = grader.kind }
  for key, value in pairs(grader) do
    if key ~= "kind" then wire[key] = LISTS[key] and type(value) == "table" and json.array(value) or value end
  end
  return wire
end

-- What the provider is asked to tell others about the job.
local function integrations(recipe)
  local asked = recipe.wandb
  local settings = asked and asked.openai_integration and wandb.of(recipe)
  if not (settings and settings.wanted) then return nil end
  local tags = wandb.tags(asked.tags)
  return json.array { { type = "wandb", wandb = { project = settings.project, entity = settings.entity,
    name = asked.run_name, tags = #tags > 0 and json.array(tags) or nil } } }
end

--- The options of Provider:create, but for metadata.
---@param recipe ftrun.Recipe
---@param training_file string
---@param validation_file string?
---@return table
function M.of(recipe, training_file, validation_file)
  return { model = recipe.base_model, training_file = training_file, validation_file = validation_file,
    suffix = recipe.suffix, seed = recipe.seed, method = recipe.method, hyperparameters = recipe.hyperparameters,
    grader = grader_of(recipe.grader), integrations = integrations(recipe) }
end

return M
