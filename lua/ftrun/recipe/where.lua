--- Finds lines in a recipe's source: of a key inside `ft.NAME { ... }`. Values that crossed out of the box
--- have no positions any more, so this reads the text again: a small lexer that walks table constructors. It serves
--- messages only, on text that Lua has already accepted; what it cannot follow, it answers with the next best line.
local M = {}

---@class ftrun.where.Node         one table constructor
---@field line integer             line of its "{"
---@field keys table<string|integer, ftrun.where.Entry>

---@class ftrun.where.Entry
---@field line integer             line of the key (or of a list item)
---@field node ftrun.where.Node?   when the value is a table constructor, or a call with one
---@field name string?             when the value is nothing but a variable's name

-- ---- tokens: parallel lists of kind ("name", "string", "number", or the operator itself), text, line ----

local ESCAPES = { n = "\n", t = "\t", r = "\r", ["\n"] = "\n" }

local function tokenize(source)
  local kinds, texts, lines, n = {}, {}, {}, 0
  local pos, line = 1, 1
  local function add(kind, text)
    n = n + 1
    kinds[n], texts[n], lines[n] = kind, text, line
  end
  local function count(text) line = line + select(2, text:gsub("\n", "")) end
  if source:sub(1, 1) == "#" then pos = source:find("\n", 1, true) or #source + 1 end
  while true do
    local blank, start = source:match("^(%s*)()", math.min(pos, #source + 1))
    count(blank)
    pos = start
    if pos > #source then break end
    local name = source:match("^[%a_][%w_]*", pos)
    local level = source:match("^%[(=*)%[", pos)
    if name then
      add("name", name)
      pos = pos + #name
    elseif source:find("^%-%-", pos) then
      local equals = source:match("^%-%-%[(=*)%[", pos)
      local last
      if equals then
        last = select(2, source:find("]" .. equals .. "]", pos, true)) or #source
      else
        last = (source:find("\n", pos, true) or #source + 1) - 1
      end
      count(source:sub(pos, last))
      pos = last + 1
    elseif level then
      local last = select(2, source:find("]" .. level .. "]", pos, true)) or #source
      local text = source:sub(pos, last)
      add("string", text:sub(#level + 3, -#level - 3))
      count(text)
      pos = last + 1
    elseif source:find("^[\"']", pos) then
      local quote, from = source:sub(pos, pos), pos
      pos = pos + 1
      while true do
        pos = source:find("[\\" .. quote .. "]", pos) or #source + 1
        if source:sub(pos, pos) ~= "\\" then break end
        pos = pos + 2
      end
      local text = source:sub(from, pos)
      add("string", (text:sub(2, -2):gsub("\\(.)", function(c) return ESCAPES[c] or c end)))
      count(text)
      pos = pos + 1
    elseif source:find("^%.?%d", pos) then
      local number = source:match("^0[xX][%x%.]+[pP][+-]?%d+", pos) or source:match("^0[xX][%x%.]+", pos)
        or source:match("^[%d%.]+[eE][+-]?%d+", pos) or source:match("^[%d%.]+", pos)
      add("number", number)
      pos = pos + #number
    else
      local op = source:match("^%.%.%.?", pos) or source:match("^[=~<>]=", pos) or source:match("^::", pos)
        or source:sub(pos, pos)
      add(op, op)
      pos = pos + #op
    end
  end
  return kinds, texts, lines, n
end

-- ---- constructors ----

local OPENS = { ["{"] = 1, ["("] = 1, ["["] = 1, ["}"] = -1, [")"] = -1, ["]"] = -1 }
local BLOCKS = { ["function"] = 1, ["if"] = 1, ["do"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }

---@class ftrun.where.Index
local Index = {}
Index.__index = Index

--- Reads a source once.
---@param source string
---@return ftrun.where.Index
function M.index(source)
  local kinds, texts, lines, n = tokenize(source)
  local calls = {}
  local table_at

  -- `ft.NAME` at token i: notes the call; returns the token after it, and the node of a constructor as its argument.
  local function call_at(i)
    if texts[i] ~= "ft" or kinds[i] ~= "name" or kinds[i - 1] == "." or kinds[i - 1] == ":" then return nil end
    if kinds[i + 1] ~= "." or kinds[i + 2] ~= "name" then return nil end
    local call = { name = texts[i + 2], line = lines[i] }
    calls[#calls + 1] = call
    local open = kinds[i + 3] == "(" and i + 4 or i + 3
    if kinds[open] ~= "{" then return i + 3 end
    call.brace = lines[open]
    local after
    call.node, after = table_at(open)
    return kinds[i + 3] == "(" and kinds[after] == ")" and after + 1 or after, call.node
  end

  -- Skips one expression from token i to the "," ";" or "}" that ends it.
  local function skip(i)
    local depth = 0
    while i <= n do
      local kind = kinds[i]
      if depth == 0 and (kind == "," or kind == ";" or kind == "}") then return i end
      local after = call_at(i)
      if after then
        i = after
      else
        depth = depth + (OPENS[kind] or kind == "name" and BLOCKS[texts[i]] or 0)
        i = i + 1
      end
    end
    return i
  end

  function table_at(i)
    local node = { line = lines[i], keys = {} }
    local items = 0
    i = i + 1
    while i <= n and kinds[i] ~= "}" do
      local entry, key = { line = lines[i] }, nil
      if kinds[i] == "name" and kinds[i + 1] == "=" then
        key, i = texts[i], i + 2
      elseif kinds[i] == "[" then
        if kinds[i + 2] == "]" then
          if kinds[i + 1] == "string" then key = texts[i + 1] end
          if kinds[i + 1] == "number" then key = math.tointeger(tonumber(texts[i + 1])) end
        end
        while i <= n and kinds[i] ~= "=" do i = i + 1 end
        i = i + 1
      else
        items = items + 1
        key = items
      end
      local after, child = call_at(i)
      if after then
        entry.node, i = child, after
      elseif kinds[i] == "{" then
        entry.node, i = table_at(i)
      elseif kinds[i] == "name" and (kinds[i + 1] == "," or kinds[i + 1] == ";" or kinds[i + 1] == "}") then
        entry.name = texts[i]
      end
      i = skip(i)
      if key ~= nil then node.keys[key] = entry end
      if kinds[i] == "," or kinds[i] == ";" then i = i + 1 end
    end
    return node, i + 1
  end

  local i = 1
  while i <= n do i = call_at(i) or i + 1 end
  return setmetatable({ calls = calls }, Index)
end

--- The constructor of `ft.KIND { ... }` that was called on a line; without a line (a tail call leaves none) the last.
---@param kind string
---@param line integer?
---@return ftrun.where.Node?
function Index:constructor(kind, line)
  local found
  for _, call in ipairs(self.calls) do
    if call.name == kind and call.node then
      if line and (call.line == line or call.brace == line) then return call.node end
      found = call.node
    end
  end
  return not line and found or nil
end

--- Follows a path below a constructor. Returns the line of its last key that stands in the source, and the entry when
--- all of it does.
---@param node ftrun.where.Node
---@param path (string|integer)[]
---@return integer line
---@return ftrun.where.Entry? entry
function M.line(node, path)
  local line, entry = node.line, nil
  for i, key in ipairs(path) do
    entry = node and node.keys[key]
    if not entry then return line, nil end
    line, node = entry.line, entry.node
    if i < #path and not node then return line, nil end
  end
  return line, entry
end

return M
