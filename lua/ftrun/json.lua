--- JSON of the providers' API and of results, the only user of lua-cjson; dataset rows never come through here.
local cjson = require("cjson").new()
local dataset = require "ft.dataset"
local log = require "ft.log"

local json = {}

-- dataset.check has refused what cjson would let pass, up to a depth that cjson must then take
cjson.decode_max_depth(512)

--- JSON null inside arrays, and to send one. Fields that are null are absent after decode.
---@type userdata
json.null = dataset.null

--- Marks a table as an array, which matters for an empty one: json.array {} is [], {} is {}.
json.array = dataset.array

-- the largest number up to which a float holds every integer
local EXACT = 2 ^ 53

--- cjson gives floats only, and null as a value.
local function tidy(value)
  if type(value) == "number" then
    return value > -EXACT and value < EXACT and math.tointeger(value) or value
  end
  if type(value) ~= "table" then return value end
  for key, item in next, value do
    if item == json.null and type(key) == "string" then
      value[key] = nil
    elseif type(item) == "table" or type(item) == "number" then
      value[key] = tidy(item)
    end
  end
  return value
end

--- Decodes one strict JSON text. Integral numbers below 2^53 become integers; null becomes json.null in arrays and at
--- the top, and an absent field in objects.
---@param text string
---@return any value
---@return string? message
---@return "json"|nil code
function json.decode(text)
  local ok, message, _, offset = dataset.check(text)
  if not ok then return nil, ("not JSON: %s at byte %d"):format(message, offset), "json" end
  return tidy(cjson.decode(text))
end

--- JSON text of a plain value, keys sorted. Raises on what JSON cannot say (functions, NaN, invalid UTF-8). Not by
--- cjson, which cannot write an empty array, cuts numbers to 14 digits and keeps no order of keys.
---@param value any
---@return string
function json.encode(value)
  local text, message = dataset.encode(value)
  return text or error("cannot write JSON: " .. message, 2)
end

local function mend(text)
  local parts, from = {}, 1
  while true do
    local ok, at = utf8.len(text, from)
    if ok then return table.concat(parts) .. text:sub(from) end
    parts[#parts + 1] = text:sub(from, at - 1) .. "\u{FFFD}"
    from = at + 1
  end
end

local function readable(value)
  if type(value) == "string" then return mend(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in next, value do copy[readable(key)] = readable(item) end
  return setmetatable(copy, getmetatable(value))
end

--- JSON text of a result for programs: bytes that are no UTF-8, which the name of a file may have, become U+FFFD.
---@param value any
---@param order string[]?  keys that come first
---@return string
function json.result(value, order)
  return dataset.encode(value, order) or dataset.encode(readable(value), order) or json.encode(value)
end

--- Writes it as one line of stdout.
---@param value any
---@param order string[]?
function json.print(value, order) log.out(json.result(value, order) .. "\n") end

return json
