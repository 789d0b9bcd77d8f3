--- Decoded skeletons, as dataset.decode_ordered gives them: objects are lists of pairs. Only the outer level is decoded
--- at once; what is deeper is decoded when it is asked for, and remembered: rows may all differ in how many messages
--- they have and in which order, but not in what a message looks like, or their tools.
local dataset = require "ft.dataset"
local words = require "ftrun.recipe.words"

local M = {}

local MEMORY = 2 << 20    -- bytes of text of which the values are remembered
local memory, used = {}, 0

--- The outer level of a skeleton.
---@param skeleton string
---@return any value
function M.decode(skeleton)
  local value, message = dataset.decode_ordered(skeleton, 1)
  if message then error("skeleton: " .. message .. ": " .. skeleton) end
  return value
end

--- The value itself where only its text is there. Equal ones are the same table: do not change them.
function M.full(v)
  if type(v) ~= "table" or not v.raw then return v end
  local full = memory[v.raw]
  if not full then
    used = used + #v.raw
    if used > MEMORY then memory, used = {}, #v.raw end
    full = dataset.decode_ordered(v.raw)
    memory[v.raw] = full
  end
  return full
end

--- The same without remembering it: a list has its items as texts.
function M.shallow(v)
  if type(v) ~= "table" or not v.raw then return v end
  return (dataset.decode_ordered(v.raw, 1))
end

function M.is_object(v) return type(v) == "table" and v.object == true end

function M.is_list(v) return type(v) == "table" and v.array == true end

--- The value of a key; nil when there is none. Null is dataset.null. Objects and arrays may be texts yet.
function M.raw(object, key)
  for i = 1, #object do
    if object[i][1] == key then return object[i][2] end
  end
end

--- The same, decoded.
function M.get(object, key)
  local v = M.raw(object, key)
  return type(v) == "table" and M.full(v) or v
end

--- The same, with null as good as absent.
function M.present(object, key)
  local v = M.get(object, key)
  if v ~= dataset.null then return v end
end

--- What a value is, in the words of JSON.
function M.kind(v)
  if v == nil then return "nothing" end
  if v == dataset.null then return "null" end
  if type(v) == "table" then return v.object and "an object" or "a list" end
  return type(v) == "string" and "a text" or "a " .. type(v)
end

--- Reports the keys of an object that are not allowed. Only keys that are no slip of the pen may be removed blindly.
---@param c table
---@param object table
---@param prefix string    path of the object with a dot, or ""
---@param allowed table<string, true>
---@param names string[]   the same, for messages
---@param code string
function M.known(c, object, prefix, allowed, names, code)
  for _, pair in ipairs(object) do
    local key = pair[1]
    if not allowed[key] then
      local near = words.nearest(key, names)
      c.found(code, prefix .. key, near and ("unknown key %s, did you mean %s?"):format(words.show(key), near)
        or ("unknown key %s, allowed are %s"):format(words.show(key), table.concat(names, ", ")))
      local finding = c.findings[#c.findings]
      if near then finding.fixable = nil else finding.member = { prefix = prefix, key = key } end
    end
  end
end

--- A set of a list of names.
function M.set(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

return M
