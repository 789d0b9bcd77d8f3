--- What differs between two experiments: settings by their path, texts by line, data, what came of it, scores. What
--- only one side can know is not compared, and named.
local json = require "ftrun.json"
local linediff = require "ftrun.share.linediff"

local M = {}

local IDS = { job = true, model = true }

---@class ftrun.Difference
---@field a string
---@field b string
---@field equal boolean
---@field settings { path: string, a: string?, b: string? }[]
---@field texts { name: string, lines: string[] }[]  hunks of diff -u
---@field data { path: string, a: string?, b: string? }[]
---@field outcome { path: string, a: string?, b: string? }[]
---@field ids { path: string, a: string?, b: string? }[]  of job and model, which no two runs share: no difference
---@field scores { name: string, a: number?, b: number?, difference: number? }[]
---@field same_rows boolean?  the scores are of the same validation rows; nil when that is not known
---@field not_compared string[]

-- Where two maps differ; without `all`, only what both have counts.
local function differing(a, b, all)
  local keys, list = {}, json.array {}
  for key in pairs(a) do keys[#keys + 1] = key end
  for key in pairs(b) do if a[key] == nil then keys[#keys + 1] = key end end
  table.sort(keys)
  for _, key in ipairs(keys) do
    if a[key] ~= b[key] and (all or a[key] ~= nil and b[key] ~= nil) then
      list[#list + 1] = { path = key, a = a[key], b = b[key] }
    end
  end
  return list
end

-- Goes through two lists of items by their names: the name, and a field of the item in each; nil where it is missing.
local function by_name(a, b, field)
  local by, order = {}, {}
  for side, items in ipairs { a, b } do
    for _, item in ipairs(items) do
      if not by[item.name] then
        by[item.name] = {}
        order[#order + 1] = item.name
      end
      by[item.name][side] = item[field]
    end
  end
  local i = 0
  return function()
    i = i + 1
    local name = order[i]
    if name then return name, by[name][1], by[name][2] end
  end
end

local function texts(a, b)
  local list = json.array {}
  for name, left, right in by_name(a, b, "bytes") do
    if left ~= right then
      list[#list + 1] = { name = name, lines = json.array(linediff.unified(left or "", right or "")) }
    end
  end
  return list
end

-- A recipe's own text holds its query; without one on both sides the query is compared by itself.
local function all_texts(a, b, long_a, long_b)
  if #a.texts > 0 and #b.texts > 0 then return texts(a.texts, b.texts) end
  local left, right = {}, {}
  for name, bytes in pairs(long_a) do
    if long_b[name] then
      left[#left + 1], right[#right + 1] = { name = name, bytes = bytes }, { name = name, bytes = long_b[name] }
    end
  end
  return texts(left, right)
end

local function scores(a, b)
  local list = json.array {}
  for name, left, right in by_name(a, b, "value") do
    list[#list + 1] = { name = name, a = left, b = right, difference = left and right and right - left or nil }
  end
  return list
end

--- Compares two experiments.
---@param a ftrun.Experiment
---@param b ftrun.Experiment
---@return ftrun.Difference
function M.of(a, b)
  local left, long_left, whole_left = a:settings()
  local right, long_right, whole_right = b:settings()
  local d = { a = a.title, b = b.title, not_compared = json.array {} }
  local function both(name, what)
    local x, y = a[name](a), b[name](b)
    if x and y then return x, y end
    if x or y then
      d.not_compared[#d.not_compared + 1] = ("%s (%s has none)"):format(what, x and b.title or a.title)
    end
    return {}, {}
  end
  d.settings = differing(left, right, whole_left and whole_right)
  d.texts = all_texts(a, b, long_left, long_right)
  local x, y = both("data", "data")
  d.data = differing(x, y, true)
  if x["validation.sha256"] and y["validation.sha256"] then
    d.same_rows = x["validation.sha256"] == y["validation.sha256"]
  end
  x, y = both("outcome", "outcome")
  d.ids = json.array {}
  d.outcome = json.array {}
  for _, row in ipairs(differing(x, y)) do
    local list = IDS[row.path] and d.ids or d.outcome
    list[#list + 1] = row
  end
  x, y = both("scores", "scores")
  d.scores = scores(x, y)
  d.equal = #d.settings + #d.texts + #d.data + #d.outcome == 0
  for _, s in ipairs(d.scores) do d.equal = d.equal and s.a == s.b end
  if not (whole_left and whole_right) and whole_left ~= whole_right then
    local lock = whole_left and b or a
    d.not_compared[#d.not_compared + 1] = ("settings that %s does not hold"):format(lock.title)
    local of_recipe, of_lock = whole_left and a or b, lock.lock
    if of_lock and of_recipe.recipe and of_lock.recipe_sha256 ~= of_recipe.recipe.sha256 then
      table.insert(d.settings, 1, { path = "SHA-256 of the recipe",
        a = whole_left and of_recipe.recipe.sha256 or of_lock.recipe_sha256,
        b = whole_left and of_lock.recipe_sha256 or of_recipe.recipe.sha256 })
      d.equal = false
    end
  end
  for _, side in ipairs { a, b } do
    if side.problem then
      d.not_compared[#d.not_compared + 1] = ("settings of %s: its recipe cannot be loaded here"):format(side.title)
    end
  end
  return d
end

return M
