--- Settings from outside: `--set hyperparameters.n_epochs=1`, converted by the descriptor of their path.
local err = require "ftrun.err"
local words = require "ftrun.recipe.words"

local M = {}

--- Converts text by a descriptor ("3" for an integer, "a,b" for a list).
---@param text string
---@param d table
---@return any value
---@return string? message
local function convert(text, d)
  for _, a in ipairs(d.any or { d }) do
    if a.const ~= nil and tostring(a.const) == text then return a.const end
    if a.type == "integer" or a.type == "number" then
      local n = tonumber(text)
      if n then return math.tointeger(n) or n end
    elseif a.type == "boolean" then
      if text == "true" or text == "false" then return text == "true" end
    elseif a.type == "string" then
      return text
    elseif a.type == "list" then
      local list = {}
      for item in text:gmatch("[^,]+") do list[#list + 1] = convert(item, a.item) end
      return list
    end
  end
  if d.type == "table" then return nil, "name one of its keys: " .. table.concat(words.names(d), ", ") end
  if d.tag or d.type == "function" or d.any and not d.any[1].type and d.any[1].const == nil then
    return nil, "cannot be set from outside"
  end
  return nil, ("expected %s, got %s"):format(words.expected(d), words.show(text))
end

--- Settings as they are given, "path=value" or { path, value }, as the latter. Raises err "usage".
---@param list (string|{ [1]: string, [2]: string })[]?
---@return { [1]: string, [2]: string }[]
function M.list(list)
  local result = {}
  for i, given in ipairs(list or {}) do
    local path, text = given[1], given[2]
    if type(given) == "string" then path, text = given:match("^%s*([^=]-)%s*=(.*)$") end
    if not path or path == "" then
      err.raise("usage", ("--set %s: expected PATH=VALUE, as hyperparameters.n_epochs=1"):format(given))
    end
    result[i] = { path, text }
  end
  return result
end

--- Puts one setting from outside into a raw value, by its path ("hyperparameters.n_epochs").
---@param value table
---@param descriptor table
---@param path string
---@param text string
---@return true? ok
---@return string? message  "--set hyperparameters.n_epoch: unknown key; did you mean n_epochs?"
function M.apply(value, descriptor, path, text)
  local d, at, done = descriptor, value, {}
  local keys = {}
  for key in path:gmatch("[^.]+") do keys[#keys + 1] = key end
  local function fail(message) return nil, ("--set %s: %s"):format(path, message) end
  if #keys == 0 then return fail("expected a path like hyperparameters.n_epochs") end
  for i, key in ipairs(keys) do
    for _, a in ipairs(d.any or {}) do if a.tag and type(at) == "table" and at["@kind"] == a.tag then d = a end end
    local f = words.field(d, key)
    if not f and d.type == "map" then f = d.item end
    if not f and not d.fields then return fail((i > 1 and table.concat(done, ".") or "it") .. " has no keys") end
    if not f then
      local message = words.unknown_key(d, key)
      if i > 1 and message:find("did you mean") then
        message = message:gsub("mean ", "mean " .. table.concat(done, ".") .. ".", 1)
      end
      return fail(message)
    end
    if i == #keys then
      local v, message = convert(text, f)
      -- checked here, so that no message repeats the value: it may be a URL with a password
      message = message or f.check and type(v) == f.type and f.check(v)
      if message then return fail(message) end
      at[key] = v
      return true
    end
    if at[key] == nil then at[key] = {} end
    if type(at[key]) ~= "table" then return fail(table.concat(keys, ".", 1, i) .. " is no table in the recipe") end
    d, at, done[i] = f, at[key], key
  end
end

return M
