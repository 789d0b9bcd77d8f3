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

--- A result for programs: the value as one line of stdout.
---@param value any
function json.print(value)
  log.out(json.encode(value) .. "\n")
end

return json
