--- Whether JSON fits a schema: the part of JSON Schema (draft 2020-12) that describes the shape of an answer. Keywords
--- that are not known are refused when the schema is read, so that none is silently left out.
local dataset = require "ft.dataset"

local M = {}

local NOTES = { ["$schema"] = true, ["$id"] = true, ["$comment"] = true, title = true, description = true,
  default = true, examples = true }

local TYPES = {
  object = function(v) return type(v) == "table" and v.object == true end,
  array = function(v) return type(v) == "table" and v.array == true end,
  string = function(v) return type(v) == "string" end,
  number = function(v) return type(v) == "number" end,
  integer = function(v) return type(v) == "number" and math.tointeger(v) ~= nil end,
  boolean = function(v) return type(v) == "boolean" end,
  null = function(v) return v == dataset.null end,
}

-- Members of an object by name.
local function members(v)
  local by = {}
  for _, pair in ipairs(v) do by[pair[1]] = pair[2] end
  return by
end

local function equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" or a == dataset.null or b == dataset.null then return a == b end
  if #a ~= #b or a.array ~= b.array then return false end
  if a.array then
    for i, item in ipairs(a) do if not equal(item, b[i]) then return false end end
    return true
  end
  local by = members(b)
  for _, pair in ipairs(a) do if by[pair[1]] == nil or not equal(pair[2], by[pair[1]]) then return false end end
  return true
end

local function fail(message, ...) error({ schema = message:format(...) }, 0) end

local read -- of a schema; makes a function of it

local function is_list(v) return TYPES.array(v) end

local function number(v, keyword)
  if type(v) ~= "number" then fail("%s: expected a number", keyword) end
  return v
end

--- Each keyword makes a function(value) -> boolean of what stands behind it. `all` are the schema's own members.
local KEYWORDS = {}

function KEYWORDS.type(v)
  local names, tests = is_list(v) and v or { v }, {}
  for i, name in ipairs(names) do
    tests[i] = TYPES[name] or fail("type: '%s' is none", tostring(name))
  end
  return function(value)
    for _, test in ipairs(tests) do if test(value) then return true end end
    return false
  end
end

function KEYWORDS.properties(v)
  if not TYPES.object(v) then fail "properties: expected an object" end
  local fits = {}
  for _, pair in ipairs(v) do fits[pair[1]] = read(pair[2]) end
  return function(value)
    if not TYPES.object(value) then return true end
    for _, pair in ipairs(value) do
      if fits[pair[1]] and not fits[pair[1]](pair[2]) then return false end
    end
    return true
  end
end

function KEYWORDS.additionalProperties(v, all)
  local known, fits = members(all.properties or {}), v ~= false and read(v)
  return function(value)
    for _, pair in ipairs(TYPES.object(value) and value or {}) do
      if known[pair[1]] == nil and not (fits and fits(pair[2])) then return false end
    end
    return true
  end
end

function KEYWORDS.required(v)
  if not is_list(v) then fail "required: expected a list of names" end
  return function(value)
    if not TYPES.object(value) then return true end
    local by = members(value)
    for _, name in ipairs(v) do if by[name] == nil then return false end end
    return true
  end
end

function KEYWORDS.items(v)
  local fits = read(v)
  return function(value)
    for _, item in ipairs(is_list(value) and value or {}) do if not fits(item) then return false end end
    return true
  end
end

function KEYWORDS.enum(v)
  if not is_list(v) then fail "enum: expected a list" end
  return function(value)
    for _, one in ipairs(v) do if equal(one, value) then return true end end
    return false
  end
end

function KEYWORDS.const(v)
  return function(value) return equal(v, value) end
end

function KEYWORDS.anyOf(v)
  if not is_list(v) then fail "anyOf: expected a list" end
  local fits = {}
  for i, schema in ipairs(v) do fits[i] = read(schema) end
  return function(value)
    for _, fit in ipairs(fits) do if fit(value) then return true end end
    return false
  end
end

local function size(keyword, test, of)
  KEYWORDS[keyword] = function(v)
    local bound = number(v, keyword)
    return function(value)
      local n = of(value)
      return n == nil or test(n, bound)
    end
  end
end

local function at_least(n, bound) return n >= bound end
local function at_most(n, bound) return n <= bound end
local function numeric(v) return type(v) == "number" and v or nil end
local function items(v) return is_list(v) and #v or nil end
local function characters(v) return type(v) == "string" and (utf8.len(v) or #v) or nil end

size("minimum", at_least, numeric)
size("maximum", at_most, numeric)
size("minItems", at_least, items)
size("maxItems", at_most, items)
size("minLength", at_least, characters)
size("maxLength", at_most, characters)

local function names()
  local list = {}
  for name in pairs(KEYWORDS) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, ", ")
end

function read(schema)
  if schema == true then return function() return true end end
  if not TYPES.object(schema) then fail "a schema must be an object" end
  local all, tests = members(schema), {}
  for _, pair in ipairs(schema) do
    local make = KEYWORDS[pair[1]]
    if make then
      tests[#tests + 1] = make(pair[2], all)
    elseif not NOTES[pair[1]] then
      fail("'%s' is not understood here; what is: %s", pair[1], names())
    end
  end
  return function(value)
    for _, test in ipairs(tests) do if not test(value) then return false end end
    return true
  end
end

--- Makes a function of a schema's JSON text that says whether a value fits; nil and what is wrong with the schema.
---@param text string
---@return (fun(value: any): boolean)?  of values as dataset.decode_ordered gives them
---@return string?
function M.read(text)
  local schema, why = dataset.decode_ordered(text)
  if why then return nil, "no JSON: " .. why end
  local ok, fits = pcall(read, schema)
  if ok then return fits end
  if type(fits) == "table" and fits.schema then return nil, fits.schema end
  error(fits, 0)
end

return M
