--- Whether a recipe's score can be taken of its validation rows: after the training it is late to learn that a path is
--- misspelt, or that the answers are no JSON.
local amounts = require "ftrun.text.amounts"
local dataset = require "ft.dataset"
local score = require "ftrun.score"

local M = {}

local ROWS = 50 -- that are looked at

local function expected_of(path)
  local list = {}
  local reader <close> = dataset.reader(path)
  if not reader then return list end
  for line in reader.next, reader do
    local found = dataset.pick(line, { "messages[-1].content" })
    if found and found[1] then list[#list + 1] = found[1] end
    if #list == ROWS then break end
  end
  return list
end

--- What is wrong with the first validation rows for this score; nil when nothing is, or when it cannot be known.
---@param spec table|function  the recipe's `evaluate.score`
---@param path string          of the validation rows
---@return string?
function M.warning(spec, path)
  if type(spec) ~= "table" or spec.kind == "judge" then return nil end
  local list = expected_of(path)
  if #list == 0 then return nil end
  local scorer = score.new(spec, nil, list)
  local sums, n, fault = {}, 0, nil
  for i = 1, scorer.width() do sums[i] = 0 end
  for _, expected in ipairs(list) do
    local row, why = scorer.row(expected, expected)
    fault = fault or why
    if row then
      n = n + 1
      for i, v in ipairs(row) do sums[i] = sums[i] + v end
    end
  end
  local rows = amounts.count(#list, "validation row")
  if n == 0 then
    return ("evaluate.score fits none of %s: %s; for texts there are ft.classification and ft.exact"):format(rows,
      fault)
  end
  if spec.kind ~= "json_f1" then return nil end
  local missing, values = {}, scorer.values(sums, n)
  for i, name in ipairs(scorer.names()) do
    local at = name.name == "f1" and (name.path or #spec.paths == 1 and spec.paths[1])
    if at and not values[i] then missing[#missing + 1] = at end
  end
  if #missing > 0 then
    return ("evaluate.score: the answers of %s have no %s"):format(rows, table.concat(missing, ", no "))
  end
end

return M
