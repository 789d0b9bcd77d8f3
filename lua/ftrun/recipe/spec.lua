--- Checks a plain value against a tree of descriptors and reports every fault at once, each with its path, what was
--- expected and what was got. The same descriptors convert text from outside (override.lua) and print the reference.
---
--- A descriptor is a table:
---   type      "string", "integer", "number", "boolean", "function", "table", "list" or "map"; or instead of it
---   const     one value;  any = list of alternatives;  tag = the kind of a tagged table (`ft.postgres { ... }`)
---   fields    of a table or a tag: a list of descriptors whose [1] is the key, in the order of messages and docs
---   item      descriptor of a list's items or a map's values;  keys = allowed keys of a map
---   required, default, always (a table: absent is the same as empty), enum, pattern + shape (its words),
---   min, max, above (numbers: bounds; strings and lists: length)
---   env       "setting": `ft.env` is replaced by the setting's value;  "reference": it stays a reference
---   aliases   names that people write by mistake;  doc = one line;  what = replaces the words for what is expected
---   check     function(value) -> message or nil, for what the above cannot say
local words = require "ftrun.recipe.words"

local M = {}

local MOST = 100 -- faults that are reported

---@class ftrun.spec.Fault
---@field path (string|integer)[]
---@field message string       without path and place
---@field anchor table?        innermost tagged table around it: { file, line, kind }
---@field below (string|integer)[]  the path below the anchor

local function is(kind, v)
  if kind == "integer" then return math.type(v) == "integer" or math.type(v) == "float" and math.tointeger(v) ~= nil end
  if kind == "function" then return type(v) == "function" or type(v) == "userdata" end
  if kind == "list" or kind == "map" then return type(v) == "table" and v["@kind"] == nil end
  if kind == "table" then return type(v) == "table" and v["@kind"] == nil end
  return type(v) == kind
end

local Check = {}
Check.__index = Check

-- the innermost tagged table and the path below it
function Check:place()
  local top = self.anchors[#self.anchors]
  return top and top.anchor, { table.unpack(self.path, (top and top.depth or 0) + 1) }
end

function Check:fault(message)
  if #self.faults > MOST then return end
  if #self.faults == MOST then message = "and more errors, which are not listed" end
  local anchor, below = self:place()
  self.faults[#self.faults + 1] = {
    path = { table.unpack(self.path) }, message = message, anchor = anchor, below = below,
  }
end

function Check:mismatch(v, d)
  local like = d.fields and not d.tag and words.expected(d) == "a table" and d.fields[1]
  for _, f in ipairs(like and d.fields or {}) do
    if f.required then like = f break end
  end
  like = like and (" such as { %s = ... }"):format(like[1]) or ""
  self:fault(("expected %s%s, got %s"):format(words.expected(d), like, words.show(v)))
end

function Check:below(key, v, d)
  self.path[#self.path + 1] = key
  local result = self:value(v, d)
  self.path[#self.path] = nil
  return result
end

-- nil when the scalar fits
local function unfit(v, d)
  local size = v
  if type(v) == "string" then size = utf8.len(v) or #v elseif type(v) == "table" then size = #v end
  if d.min and size < d.min or d.max and size > d.max or d.above and size <= d.above then return true end
  if d.pattern and not v:find(d.pattern) then return true end
  if d.enum then
    for _, e in ipairs(d.enum) do if e == v then return nil end end
    return true
  end
end

function Check:missing(key, f)
  if f.always then return self:below(key, {}, f) end
  self.path[#self.path + 1] = key
  local anchor, below = self:place()
  local name = anchor and self.absent and self.absent(anchor, below)
  if name then
    self:fault(("expected %s, but `%s` is nil (a misspelt name?)"):format(words.expected(f), name))
  elseif f.required then
    self:fault(("missing; expected %s: %s"):format(words.expected(f), f.doc))
  end
  self.path[#self.path] = nil
end

function Check:fields(v, d)
  local result, unknown = {}, {}
  for _, f in ipairs(d.fields) do
    local key = f[1]
    if v[key] ~= nil then
      result[key] = self:below(key, v[key], f)
    else
      result[key] = self:missing(key, f)
    end
    if result[key] == nil then result[key] = f.default end
  end
  for key in pairs(v) do
    if not words.field(d, key) and not (type(key) == "string" and key:find("^@")) then unknown[#unknown + 1] = key end
  end
  table.sort(unknown, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(unknown) do
    if i > MOST + 1 then break end
    self.path[#self.path + 1] = key
    self:fault(words.unknown_key(d, key))
    self.path[#self.path] = nil
  end
  return result
end

function Check:alternatives(v, d)
  local near
  for _, a in ipairs(d.any) do
    if a.tag and type(v) == "table" and v["@kind"] == a.tag then return self:value(v, a) end
    if a.const ~= nil and v == a.const then return v end
    if a.type and is(a.type, v) then
      if a.type == "table" or a.type == "list" or a.type == "map" or not unfit(v, a) then return self:value(v, a) end
      near = a
    end
  end
  self:mismatch(v, d)
  return near and v or nil
end

function Check:env(v, d)
  if type(v.name) ~= "string" then return self:mismatch(v, d) end
  if d.env == "reference" then return { env = v.name, default = v.default } end
  local value, message = self.setting(v.name)
  if message then self:fault(message) return nil end
  if value == nil then value = v.default end
  if value == nil then
    if d.required then self:fault(("%s is not set, and ft.env has no default"):format(v.name)) end
    return nil
  end
  return self:value(value, d)
end

function Check:value(v, d)
  if type(v) == "table" and v["@kind"] == "env" and d.env then return self:env(v, d) end
  if d.any then return self:alternatives(v, d) end
  if d.const ~= nil then
    if v ~= d.const then self:mismatch(v, d) end
    return v
  end
  if d.tag then
    if type(v) ~= "table" or v["@kind"] ~= d.tag then self:mismatch(v, d) return nil end
    local anchor = { file = v["@file"], line = v["@line"], kind = d.tag }
    self.anchors[#self.anchors + 1] = { anchor = anchor, depth = #self.path }
    local result = self:fields(v, d)
    self.anchors[#self.anchors] = nil
    result.kind = d.tag
    return result
  end
  if not is(d.type, v) or d.type ~= "table" and d.type ~= "map" and unfit(v, d) then
    self:mismatch(v, d)
    return nil
  end
  local result = v
  if d.type == "integer" then
    result = math.tointeger(v)
  elseif d.type == "table" then
    result = self:fields(v, d)
  elseif d.type == "list" then
    result = {}
    for i, item in ipairs(v) do result[i] = self:below(i, item, d.item) end
    for key in pairs(v) do
      if math.type(key) ~= "integer" or key < 1 or key > #v then self:mismatch(v, d) break end
    end
  elseif d.type == "map" then
    result = {}
    local keys = {}
    for key in pairs(v) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      if type(key) ~= "string" then self:mismatch(v, d) break end
      result[key] = self:below(key, v[key], d.item)
    end
  end
  local message = d.check and d.check(result) or d.type == "function" and self.callable and self.callable(v)
  if message then self:fault(message) end
  return result
end

--- Checks a value. Returns a clean copy (defaults filled in, tagged tables with their `kind`, no "@" keys) and faults.
---@param value any
---@param descriptor table
---@param options { setting: function, callable: function?, absent: function? }?
---  setting(name): the value of a setting, or nil and why it may not be used;
---  callable(fn): what is wrong with a function;
---  absent(anchor, below): the name of the nil variable that was written where a value is missing
---@return any value
---@return ftrun.spec.Fault[] faults
function M.check(value, descriptor, options)
  local check = setmetatable({ path = {}, anchors = {}, faults = {} }, Check)
  check.setting = options and options.setting or function() return nil end
  check.absent = options and options.absent
  check.callable = options and options.callable
  local result = check:value(value, descriptor)
  return result, check.faults
end

local function describe(d, prefix, lines)
  for _, f in ipairs(d.fields or {}) do
    local path = prefix .. f[1]
    local note = f.required and "; required" or f.default ~= nil and "; default " .. words.show(f.default) or ""
    lines[#lines + 1] = { path = path, expected = words.expected(f) .. note, doc = f.doc or "" }
    if f.type == "table" then describe(f, path .. ".", lines) end
    if f.type == "list" and f.item.fields then describe(f.item, path .. "[].", lines) end
    if f.type == "map" and f.item.fields then describe(f.item, path .. ".*.", lines) end
    for _, a in ipairs(f.any or {}) do
      if a.tag then
        lines[#lines + 1] = { path = "  ft." .. a.tag, expected = "", doc = a.doc or "" }
        describe(a, "    ", lines)
      end
    end
  end
  return lines
end

--- The reference of a schema: for each key its path, what is expected, and what it is for.
---@param descriptor table
---@return { path: string, expected: string, doc: string }[]
function M.fields(descriptor)
  return describe(descriptor, "", {})
end

return M
