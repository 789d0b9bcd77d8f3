--- Merges the JSON answers to the pieces of one text into one. Nothing is decoded and encoded again: keys, numbers and
--- texts stay the bytes that the model wrote.
---
--- Objects are merged key by key, lists are put behind each other without what was there before, and of single values
--- the one that most pieces gave is taken (of equally many the first), where null and "" count only if there is nothing
--- else. Rules by path ("elements", "metadata.total") say it otherwise:
---   { "type", "number" }   items of this list with the same values there are one item
---   "first" "last" "most"  which of several values
---   "sum" "min" "max"      of numbers
---   "count elements"       how many items the merged list there has
local dataset = require "ft.dataset"
local jsontext = require "ftrun.data.jsontext"

local M = {}

---@class ftrun.merge.Node     a value: kind "object" { key, raw, node }..., "array" node..., or "value" with its bytes
---@field kind "object"|"array"|"value"
---@field raw string?

local function parse(text, pos)
  local first = text:sub(pos, pos)
  if first ~= "{" and first ~= "[" then
    return { kind = "value", raw = text:sub(pos, jsontext.value_end(text, pos)) }
  end
  local node = { kind = first == "{" and "object" or "array" }
  for i, item in ipairs(jsontext.items(text, pos)) do
    local value = parse(text, item.value)
    node[i] = item.key and { key = item.key, raw = text:sub(item.from, jsontext.value_end(text, item.from)),
      node = value } or value
  end
  return node
end

local function write(node, out)
  if node.kind == "value" then
    out[#out + 1] = node.raw
    return out
  end
  local object = node.kind == "object"
  out[#out + 1] = object and "{" or "["
  for i, item in ipairs(node) do
    if i > 1 then out[#out + 1] = "," end
    if object then out[#out + 1] = item.raw .. ":" end
    write(object and item.node or item, out)
  end
  out[#out + 1] = object and "}" or "]"
  return out
end

-- A text that equal values share: \u0410 and А are the same, so are objects whose keys stand in another order.
local identity

local function part(text) return #text .. ":" .. text end

local function member(node, key)
  for _, m in ipairs(node) do if m.key == key then return m.node end end
end

function identity(node, keys)
  if node.kind == "value" then
    if node.raw:sub(1, 1) == '"' then return "s" .. dataset.decode_ordered(node.raw) end
    return node.raw
  end
  local parts = {}
  if node.kind == "array" then
    for i, item in ipairs(node) do parts[i] = part(identity(item)) end
    return "[" .. table.concat(parts)
  end
  for _, key in ipairs(keys or {}) do
    local value = member(node, key)
    if value and value.raw ~= "null" then parts[#parts + 1] = part(key) .. part(identity(value)) end
  end
  -- an item without any of the keys is known by all that it has
  if #parts == 0 then
    for i, m in ipairs(node) do parts[i] = part(m.key) .. part(identity(m.node)) end
    table.sort(parts)
  end
  return "{" .. table.concat(parts)
end

local function empty(node) return node.raw == "null" or node.raw == '""' end

local function most(nodes, id)
  local counts, best, best_id = {}, nil, nil
  for _, node in ipairs(nodes) do
    local key = id(node)
    counts[key] = (counts[key] or 0) + 1
    if not counts[best_id] or counts[key] > counts[best_id] then best, best_id = node, key end
  end
  return best, best_id
end

-- Rules that choose or make one of several values.
local CHOICES = {}

CHOICES.most = function(nodes) return (most(nodes, identity)) end
CHOICES.first = function(nodes) return nodes[1] end
CHOICES.last = function(nodes) return nodes[#nodes] end

local function chosen(better)
  return function(nodes)
    local best
    for _, node in ipairs(nodes) do
      local n = node.raw and tonumber(node.raw)
      if n and (not best or better(n, tonumber(best.raw))) then best = node end
    end
    return best or nodes[1]
  end
end
CHOICES.min = chosen(function(a, b) return a < b end)
CHOICES.max = chosen(function(a, b) return a > b end)

CHOICES.sum = function(nodes)
  local sum
  for _, node in ipairs(nodes) do
    local n = node.raw and tonumber(node.raw)
    if n then sum = (sum or 0) + n end
  end
  return sum and { kind = "value", raw = dataset.encode(sum) } or nodes[1]
end

--- What is wrong with a rule that is a text; nil when nothing is.
---@param rule string
---@return string? message
function M.check(rule)
  if CHOICES[rule] or rule:find "^count [%w_.]+$" then return nil end
  return ('expected a list of keys, "first", "last", "most", "sum", "min", "max" or "count PATH", got "%s"')
    :format(rule)
end

local combine

local function combine_objects(nodes, path, rules)
  local result, places = { kind = "object" }, {}
  for _, node in ipairs(nodes) do
    for _, m in ipairs(node) do
      local place = places[m.key]
      if not place then
        place = { key = m.key, raw = m.raw, nodes = {} }
        places[m.key] = place
        result[#result + 1] = place
      end
      place.nodes[#place.nodes + 1] = m.node
    end
  end
  for _, place in ipairs(result) do
    place.node = combine(place.nodes, path == "" and place.key or path .. "." .. place.key, rules)
    place.nodes = nil
  end
  return result
end

local function combine_lists(nodes, path, rules)
  local keys = type(rules[path]) == "table" and rules[path] or nil
  local groups, known = {}, {}
  for _, node in ipairs(nodes) do
    for _, item in ipairs(node) do
      local id = identity(item, keys)
      local group = known[id]
      if not group then
        group = {}
        known[id], groups[#groups + 1] = group, group
      end
      group[#group + 1] = item
    end
  end
  local result = { kind = "array" }
  for i, group in ipairs(groups) do
    result[i] = #group == 1 and group[1] or combine(group, path .. "[]", rules)
  end
  return result
end

function combine(nodes, path, rules)
  local said = {}
  for _, node in ipairs(nodes) do if not empty(node) then said[#said + 1] = node end end
  if #said == 0 then return nodes[1] end
  if #said == 1 and said[1].kind ~= "array" then return said[1] end
  local choice = CHOICES[rules[path]]
  if choice then return choice(said) end
  -- pieces that disagree about the kind of a value: most of them count
  local _, kind = most(said, function(node) return node.kind end)
  local same = {}
  for _, node in ipairs(said) do if node.kind == kind then same[#same + 1] = node end end
  if kind == "object" then return combine_objects(same, path, rules) end
  if kind == "array" then return combine_lists(same, path, rules) end
  return CHOICES.most(same)
end

local function at(node, path)
  for key in path:gmatch "[^.]+" do
    if not node or node.kind ~= "object" then return nil end
    node = member(node, key)
  end
  return node
end

local function count(root, path, rule)
  local parent, key = path:match "^(.*)%.([^.]*)$"
  local holder, list = at(root, parent or ""), at(root, rule:match "^count (.*)$")
  if not holder or holder.kind ~= "object" then return end
  for _, m in ipairs(holder) do
    if m.key == (key or path) then
      m.node = { kind = "value", raw = ("%d"):format(list and list.kind == "array" and #list or 0) }
    end
  end
end

--- Merges valid JSON texts. A single one stays as it is.
---@param answers string[]
---@param rules table<string, string|string[]>?
---@return string json
function M.answers(answers, rules)
  if #answers == 1 then return answers[1] end
  rules = rules or {}
  local nodes = {}
  for i, text in ipairs(answers) do nodes[i] = parse(text, text:find "%S") end
  local root = combine(nodes, "", rules)
  for path, rule in pairs(rules) do
    if type(rule) == "string" and rule:find "^count " then count(root, path, rule) end
  end
  return table.concat(write(root, {}))
end

--- Of answers that are no JSON the one that came most often.
---@param answers string[]
---@return string
function M.texts(answers)
  return (most(answers, function(text) return text end))
end

return M
