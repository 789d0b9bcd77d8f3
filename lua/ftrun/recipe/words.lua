--- The words of messages: the nearest known name, what a descriptor (see spec.lua) expects, a value, a path.
local M = {}

--- The number of insertions, deletions, replacements and swaps of neighbours between two words.
---@param a string
---@param b string
---@return integer
function M.distance(a, b)
  local before, previous, row = {}, {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, previous, row = previous, row, before
  end
  return previous[#b]
end

--- The name nearest to a word, at most two edits away and less than half of the word; nil when none is near.
---@param word string
---@param names string[]
---@return string?
function M.nearest(word, names)
  local best, best_distance
  for _, name in ipairs(names) do
    local d = math.abs(#word - #name) > 2 and 3 or M.distance(word:lower(), name:lower())
    if d <= 2 and d * 2 < #word and (not best or d < best_distance) then best, best_distance = name, d end
  end
  return best
end

--- The descriptor of one key.
---@return table?
function M.field(descriptor, key)
  for _, f in ipairs(descriptor.fields or {}) do if f[1] == key then return f end end
end

--- The keys of a descriptor in their order.
---@return string[]
function M.names(descriptor)
  local names = {}
  for _, f in ipairs(descriptor.fields or {}) do names[#names + 1] = f[1] end
  return names
end

-- A key that belongs elsewhere: the path below `descriptor` of the field that has this name or alias.
local function elsewhere(descriptor, key, prefix)
  for _, f in ipairs(descriptor.fields or {}) do
    local path = prefix .. f[1]
    if f[1] == key then return path end
    for _, alias in ipairs(f.aliases or {}) do if alias == key then return path end end
    local found = f.type == "table" and elsewhere(f, key, path .. ".")
    if found then return found end
  end
end

--- What is wrong with a key that a descriptor does not know, and which one was probably meant.
---@return string
function M.unknown_key(descriptor, key)
  if type(key) ~= "string" then return ("no value belongs here without a key (found item %s)"):format(key) end
  local near = M.nearest(key, M.names(descriptor)) or elsewhere(descriptor, key, "")
  if near then return ("unknown key; did you mean %s?"):format(near) end
  return "unknown key; allowed are " .. table.concat(M.names(descriptor), ", ")
end

local function bounds(d, unit)
  unit = unit or ""
  if d.above then return (" above %g"):format(d.above) .. (d.max and (", at most %g"):format(d.max) or "") end
  if d.min and d.max then return (" %s%d to %d%s"):format(unit == "" and "from " or "of ", d.min, d.max, unit) end
  if d.min then return (" of at least %d%s"):format(d.min, unit) end
  if d.max then return (" of at most %d%s"):format(d.max, unit) end
  return ""
end

--- What a descriptor expects, in words.
---@param d table
---@return string
function M.expected(d)
  if d.what then return d.what end
  if d.const ~= nil then return M.show(d.const) end
  if d.tag then return "ft." .. d.tag .. " {...}" end
  local words = {}
  for i, a in ipairs(d.any or d.enum or {}) do words[i] = d.any and M.expected(a) or M.show(a) end
  if #words > 0 then
    local last = table.remove(words)
    return #words == 0 and last or table.concat(words, ", ") .. " or " .. last
  end
  if d.type == "string" then
    local length = (d.min == 1 and not d.max) and "" or bounds(d, " characters")
    return "a string" .. length .. (d.shape and " " .. d.shape or "")
  end
  if d.type == "integer" then return "an integer" .. bounds(d) end
  if d.type == "number" then return "a number" .. bounds(d) end
  if d.type == "list" then return "a list, each item " .. M.expected(d.item) end
  if d.type == "boolean" then return "true or false" end
  return "a " .. (d.type == "map" and "table" or d.type)
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

--- A value as it is shown in a message.
---@param v any
---@return string
function M.show(v)
  if type(v) == "string" then
    if (utf8.len(v) or #v) > 40 then v = v:sub(1, (utf8.len(v) and utf8.offset(v, 38) or 38) - 1) .. "..." end
    return '"' .. v:gsub("[%c\"\\]", ESCAPES) .. '"'
  end
  if type(v) == "number" then return ("%.14g"):format(v) end
  if type(v) == "table" then
    return type(v["@kind"]) == "string" and "ft." .. v["@kind"] .. (v.name and ' "' .. tostring(v.name) .. '"' or "")
      or (#v > 0 and "a list" or "a table")
  end
  if type(v) == "function" or type(v) == "userdata" then return "a function" end
  return tostring(v)
end

--- A path as text: hyperparameters.n_epochs, wandb.tags[2].
---@param path (string|integer)[]
---@return string
function M.path(path)
  local parts = {}
  for i, key in ipairs(path) do
    if math.type(key) == "integer" then parts[i] = ("[%d]"):format(key)
    elseif type(key) == "string" and #key <= 60 and key:find("^[%a_][%w_]*$") then
      parts[i] = (i > 1 and "." or "") .. key
    else parts[i] = "[" .. M.show(key) .. "]" end
  end
  return table.concat(parts)
end

return M
