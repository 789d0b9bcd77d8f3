--- Places in a JSON text that is known to be valid: for code that copies or cuts the text itself and so keeps every
--- byte of the rest.
local dataset = require "ft.dataset"

local M = {}

--- The last byte of the value that starts at pos.
---@param text string
---@param pos integer
---@return integer
function M.value_end(text, pos)
  local first = text:sub(pos, pos)
  if first == '"' then
    while true do
      pos = text:find('["\\]', pos + 1)
      if text:sub(pos, pos) == '"' then return pos end
      pos = pos + 1
    end
  end
  if first ~= "{" and first ~= "[" then return (text:find("[,}%]%s]", pos) or #text + 1) - 1 end
  local depth = 0
  while true do
    pos = text:find('["%[%]{}]', pos)
    local c = text:sub(pos, pos)
    if c == '"' then pos = M.value_end(text, pos)
    elseif c == "{" or c == "[" then depth = depth + 1
    else depth = depth - 1 end
    if depth == 0 then return pos end
    pos = pos + 1
  end
end

---@class ftrun.jsontext.Item
---@field key string?     of an object's member
---@field from integer    first byte of the member or item
---@field value integer   first byte of its value
---@field last integer    its last byte

--- The members of the object, or the items of the array, that starts at pos.
---@param text string
---@param pos integer
---@return ftrun.jsontext.Item[]
function M.items(text, pos)
  local list, object = {}, text:sub(pos, pos) == "{"
  while true do
    pos = text:find("[^%s,]", pos + 1)
    if text:find("^[%]}]", pos) then return list end
    local item = { from = pos }
    if object then
      local last = M.value_end(text, pos)
      item.key = dataset.decode_ordered(text:sub(pos, last))
      pos = text:find("%S", text:find(":", last + 1, true) + 1)
    end
    item.value, item.last = pos, M.value_end(text, pos)
    list[#list + 1] = item
    pos = item.last
  end
end

--- The place of the value below a list of keys and indices (from 0); nil when there is none.
---@param text string
---@param steps (string|integer)[]
---@return integer? pos
local function find(text, steps)
  local pos = text:find "%S"
  for _, step in ipairs(steps) do
    local found
    if text:find("^[{%[]", pos) then
      for i, item in ipairs(M.items(text, pos)) do
        if item.key == step or not item.key and i - 1 == step then found = item.value end
      end
    end
    if not found then return nil end
    pos = found
  end
  return pos
end

--- The text without one member of the object at the steps; every other byte stays.
---@param text string
---@param steps (string|integer)[]
---@param key string
---@return string
function M.without(text, steps, key)
  local items = M.items(text, find(text, steps))
  for i, item in ipairs(items) do
    if item.key == key then
      local from, last = item.from, item.last
      if items[i - 1] then
        from = items[i - 1].last + 1
      elseif items[i + 1] then
        last = items[i + 1].from - 1
      end
      return text:sub(1, from - 1) .. text:sub(last + 1)
    end
  end
  return text
end

return M
