--- The values of a JSON answer below a path such as "elements[].number", as a multiset.
local dataset = require "ft.dataset"
local lcs = require "ftrun.score.lcs"

local M = {}

--- "elements[].number" -> { "elements", "[]", "number" }; nil and what is wrong.
---@param text string
---@return string[]?
---@return string?
function M.path(text)
  local steps, pos = {}, 1
  while pos <= #text do
    local name, lists, after = text:match("^([%w_]*)([%[%]]*)()", pos)
    if name ~= "" then steps[#steps + 1] = name end
    if lists:gsub("%[%]", "") ~= "" or name == "" and (lists == "" or pos > 1) then
      return nil, ('expected names with points between and [] behind lists, like "elements[].number", got "%s"')
        :format(text)
    end
    for _ = 1, #lists // 2 do steps[#steps + 1] = "[]" end
    local dot = text:sub(after, after)
    if dot ~= "" and dot ~= "." or dot == "." and after == #text then
      return nil, ('"%s" cannot be read behind "%s"'):format(text, text:sub(1, after - 1))
    end
    pos = after + 1
  end
  return steps
end

--- A text that equal values share: an object whatever the order of its keys, 1 and 1.0 alike.
local function identity(value)
  if type(value) == "number" then return ("n%.17g"):format(value) end
  if type(value) ~= "table" then return type(value):sub(1, 1) .. tostring(value) end
  local parts = {}
  if value.array then
    for i, item in ipairs(value) do parts[i] = identity(item) end
  else
    for i, pair in ipairs(value) do parts[i] = ("%q:"):format(pair[1]) .. identity(pair[2]) end
    table.sort(parts)
  end
  -- lengths keep { "a,b" } and { "a", "b" } apart
  for i, part in ipairs(parts) do parts[i] = #part .. ":" .. part end
  return (value.array and "a" or "o") .. table.concat(parts)
end

local function each(value, steps, i, add)
  local step = steps[i]
  if value == nil or value == dataset.null then return end
  if type(value) == "table" and value.array and (step == "[]" or not step) then
    for _, item in ipairs(value) do each(item, steps, step and i + 1 or i, add) end
  elseif not step then
    add(value)
  elseif type(value) == "table" and value.object then
    for _, pair in ipairs(value) do
      if pair[1] == step then return each(pair[2], steps, i + 1, add) end
    end
  end
end

--- How often each value stands at the path. A list at its end stands for its items; null and what is not there for
--- nothing.
---@param steps string[]  of M.path
---@param value any       of dataset.decode_ordered; nil: no answer
---@return table<string, integer> bag
---@return integer size
function M.bag(steps, value)
  local bag, size = {}, 0
  each(value, steps, 1, function(v)
    local id = identity(v)
    bag[id] = (bag[id] or 0) + 1
    size = size + 1
  end)
  return bag, size
end

--- The values at the path in their order.
---@return any[]
function M.list(steps, value)
  local list = {}
  each(value, steps, 1, function(v) list[#list + 1] = v end)
  return list
end

-- How values at a path are held against each other: common ones, and how many there are on each side.
local COUNT = {}

function COUNT.bags(steps, got, want)
  local a, found = M.bag(steps, got)
  local b, wanted = M.bag(steps, want)
  return M.common(a, b), found, wanted
end

--- A value that comes again counts once.
function COUNT.sets(steps, got, want)
  local sides, sizes = { (M.bag(steps, got)), (M.bag(steps, want)) }, { 0, 0 }
  for i, bag in ipairs(sides) do
    for id in pairs(bag) do bag[id], sizes[i] = 1, sizes[i] + 1 end
  end
  return M.common(sides[1], sides[2]), sizes[1], sizes[2]
end

--- Common are as many as stand on both sides in the same order.
function COUNT.ordered(steps, got, want)
  local sides = { M.list(steps, got), M.list(steps, want) }
  for _, list in ipairs(sides) do
    for i, v in ipairs(list) do list[i] = identity(v) end
  end
  return lcs.length(sides[1], sides[2]), #sides[1], #sides[2]
end

--- Holds the values at a path against each other.
---@param how "bags"|"sets"|"ordered"
---@param steps string[]
---@param got any    of dataset.decode_ordered; nil: no answer
---@param want any
---@return integer hits
---@return integer found
---@return integer wanted
function M.count(how, steps, got, want) return COUNT[how](steps, got, want) end

--- How many values two bags have in common.
---@return integer
function M.common(a, b)
  local n = 0
  for id, count in pairs(a) do n = n + math.min(count, b[id] or 0) end
  return n
end

return M
