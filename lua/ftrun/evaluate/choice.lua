--- What a command line says about measuring: `--score json_f1=elements[].number,categories[]`.
local err = require "ftrun.err"
local recipe = require "ftrun.recipe"
local values = require "ftrun.score.values"

local M = {}

local function list_of(text)
  local list = {}
  for item in (text or ""):gmatch "[^,]+" do list[#list + 1] = item end
  return list
end

-- A scorer that compares whole texts, or one value of JSON.
local function of_path(kind)
  return { ("%s, or %s=path"):format(kind, kind), function(text)
    if not text then return { kind = kind } end
    local ok, why = values.path(text)
    if not ok then return nil, why end
    return { kind = kind, path = text }
  end }
end

-- How each scorer is written: a hint, and what makes its recipe value of the text behind "=".
local FORMS = {
  json_f1 = { "json_f1=elements[].number,categories[]", function(text)
    local paths = list_of(text)
    if #paths == 0 then return nil, "it needs the paths of the values that count" end
    for _, path in ipairs(paths) do
      local ok, why = values.path(path)
      if not ok then return nil, why end
    end
    return { kind = "json_f1", paths = paths }
  end },
  exact = of_path "exact",
  rouge_l = of_path "rouge_l",
  token_f1 = of_path "token_f1",
  classification = { "classification, or classification=label,label", function(text)
    return { kind = "classification", labels = text and list_of(text) or nil }
  end },
}

local function hints()
  local list = {}
  for _, form in pairs(FORMS) do list[#list + 1] = form[1] end
  table.sort(list)
  return "Known are: " .. table.concat(list, "; ")
end

--- The value that a recipe's `evaluate.score` would have. Raises err "usage".
---@param text string
---@return table
function M.score(text)
  local name, rest = text:match "^([%w_]+)=?(.*)$"
  local form = FORMS[name]
  if not form then err.raise("usage", ("--score: there is no score '%s'"):format(text), { advice = hints() }) end
  local value, why = form[2](rest ~= "" and rest or nil)
  if not value then
    err.raise("usage", ("--score %s: %s"):format(text, why), { advice = "Write: --score " .. form[1] })
  end
  return value
end

--- What stands for a recipe where there is none: a score, a seed. To be closed.
---@param args { score: string?, recipe: string?, seed: integer }
---@return table
function M.rules(args)
  if args.recipe then
    local loaded = recipe.load(args.recipe)
    if args.score then loaded.evaluate = { score = M.score(args.score) } end
    if not loaded.evaluate then
      loaded:close()
      err.raise("usage", args.recipe .. " does not say how an answer is scored",
        { advice = "Add --score. " .. hints() })
    end
    return loaded
  end
  if not args.score then
    err.raise("usage", "it is not said how an answer is scored",
      { advice = "Add --score, or --recipe FILE for a recipe's own. " .. hints() })
  end
  local rules = { evaluate = { score = M.score(args.score) }, seed = args.seed }
  return setmetatable(rules, { __close = function() end })
end

return M
