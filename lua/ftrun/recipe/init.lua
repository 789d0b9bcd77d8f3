--- Loads a recipe: runs it in its box, checks what it returned against the schema, and reports all that is wrong with
--- it at once, each fault with its file and line.
local cross = require "ftrun.recipe.cross"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local override = require "ftrun.recipe.override"
local sandbox = require "ft.sandbox"
local schema = require "ftrun.recipe.schema"
local secrets = require "ft.secrets"
local spec = require "ftrun.recipe.spec"
local tags = require "ftrun.recipe.tags"
local where = require "ftrun.recipe.where"
local words = require "ftrun.recipe.words"

local M = {}

local MAX_BYTES = 4 << 20
local PRELUDE = "ftrun/recipe/dsl.lua"

---@class ftrun.Recipe
---@field path string          as it was given
---@field dir string           its folder
---@field name string
---@field base_model string
---@field seed integer
---@field dataset table        `kind` postgres, jsonl or files, with the fields of schema.lua
---@field sources { path: string, bytes: string }[]  the recipe, then what it included
---@field overrides table[]    settings from outside as they were given: { path, text }
---@field sha256 string        of sources and overrides
---@field said table[]         what it said for the log while it was loaded
---@field limit integer?       highest number of examples, from the command line
local Recipe = {}
Recipe.__index = Recipe

-- What belongs to the host and not to the plain table: recipe -> { box, locate }.
local inside = setmetatable({}, { __mode = "k" })

-- ---- the prelude ----

local function prelude_source()
  local roots = os.getenv "FTRUN_LUA" or ""
  local path = roots ~= "" and package.searchpath("ftrun.recipe.dsl", roots:gsub(":", "/?.lua;") .. "/?.lua")
  if path then return assert(fs.read(path)) end
  return require "ft.embedded" "ftrun.recipe.dsl"
end

-- The names that the prelude defines, for "did you mean".
local function prelude_names(source)
  local names = {}
  for _, pattern in ipairs { "function ft%.([%w_]+)", "\nconstructor \"([%w_]+)\"", "\ndecision \"([%w_]+)\"",
    "\nshort_constructor%(\"([%w_]+)\"" } do
    for name in source:gmatch(pattern) do names[#names + 1] = name end
  end
  return names
end

-- ---- places ----

-- Knows the texts that ran: locate(anchor, below) -> "file:line", entry of where.lua.
local function locator(path, source, box, dir)
  local indexes = { [path] = where.index(source) }
  local function index(file)
    if indexes[file] == nil then
      indexes[file] = false
      for _, f in ipairs(box and box:files() or {}) do
        if (file == f.path or file == dir .. "/" .. f.path) and f.path:find("%.lua$") then
          indexes[file] = where.index(f.bytes)
        end
      end
    end
    return indexes[file] or nil
  end
  return function(anchor, below)
    local file = type(anchor.file) == "string" and anchor.file or path
    local line = math.type(anchor.line) == "integer" and anchor.line > 0 and anchor.line or nil
    local texts = index(file)
    local node = texts and texts:constructor(anchor.kind, line)
    local found, entry = line, nil
    if node then found, entry = where.line(node, below) end
    return found and ("%s:%d"):format(file, found) or file, entry
  end
end

-- "recipes/x.lua:12: message" -> place, message
local function split_place(message)
  local place, rest = message:match("^(%S[^\n]-:%d+): (.*)$")
  return place, rest or message
end

-- ---- what can be wrong when the text runs ----

local function folder(path)
  path = path:gsub("(.)/+$", "%1")
  local recipes = {}
  for _, entry in ipairs(fs.list(path) or {}) do
    if entry:find("%.lua$") then recipes[#recipes + 1] = path .. "/" .. entry end
  end
  err.raise("recipe", "is a folder; expected a recipe's file", { where = path,
    advice = #recipes > 0 and "Name one of: " .. table.concat(recipes, ", ") or "There is no recipe in it." })
end

local function missing(path, message)
  local dir, name = path:match("^(.*/)([^/]*)$")
  dir, name = dir or "", name or path
  local recipes = {}
  for _, entry in ipairs(fs.list(dir == "" and "." or dir) or {}) do
    if entry:find("%.lua$") then recipes[#recipes + 1] = entry end
  end
  local near = words.nearest(name, recipes) or words.nearest(name .. ".lua", recipes)
  err.raise("recipe", message, {
    where = path, advice = near and "Did you mean " .. dir .. near .. "?"
      or #recipes > 0 and "Recipes there: " .. table.concat(recipes, ", ")
      or "Give the path of a recipe, for example recipes/legal-extraction.lua.",
  })
end

local function read(path)
  local info = fs.stat(path)
  if info and info.type == "directory" then folder(path) end
  local source, message, code = fs.read(path, MAX_BYTES)
  if not source then
    if code == "not_found" then missing(path, "there is no such recipe") end
    if code == "too_large" then err.raise("recipe", "is larger than 4 MiB; no recipe is", { where = path }) end
    err.raise("system", message, { code = code })
  end
  if path:find "%.jsonl?$" then
    err.raise("recipe", "is a file of data, not a recipe (.lua)", { where = path,
      advice = path:find "%.jsonl$" and "Files of rows are checked with: ftrun validate " .. path or nil })
  end
  return (source:gsub("^\xEF\xBB\xBF", ""))
end

-- What writers of other languages stumble over: what the parser found, and what is meant.
local MEANT = { ["#"] = "A comment begins with --.", ["!"] = '"Not equal" is written ~=.',
  [":"] = "A table is written { key = value, ... }." }

local function syntax_advice(text)
  local found = text:match "near '(.-)'$"
  if not found then return nil end
  if text:find "^'}' expected" and found:find "^[%a_][%w_]*$" then
    return ("Is a comma missing before %s?"):format(found)
  end
  return MEANT[found:sub(1, 1)]
end

local function raise_run(message, code, names)
  local place, text = split_place(message)
  local called = text:match("attempt to call a nil value %(field '([%w_]+)'%)")
  local near = called and words.nearest(called, names)
  err.raise("recipe", text, { where = place, code = code,
    advice = near and ("Did you mean ft.%s?"):format(near) or syntax_advice(text) })
end

-- ---- loading ----

-- a variable that is not set leaves the key out; a secret may not become a plain value
local function setting(name)
  if secrets.is_secret(name) then return nil, name .. " is a secret; a setting of a recipe cannot hold one" end
  local ok, value = pcall(secrets.setting, name)
  if not ok then return nil, name .. " holds a secret; a setting of a recipe cannot hold one" end
  return value
end

local function callable(fn)
  if type(fn) == "userdata" and fn:where() == "[C]" then
    return "expected a function of the recipe, got one of ft or Lua; call it: ft.NAME { ... }"
  end
end

-- In the order of the text; what has no line (--set) first.
local function by_line(list)
  local order = {}
  for i, e in ipairs(list) do
    local file, line = (e.where or ""):match "^(.*):(%d+)$"
    order[e] = { file or "", tonumber(line) or 0, i }
  end
  table.sort(list, function(a, b)
    a, b = order[a], order[b]
    for i = 1, 3 do if a[i] ~= b[i] then return a[i] < b[i] end end
    return false
  end)
end

local function check(raw, path, locate, overrides)
  local list, given = {}, {}
  for _, o in ipairs(overrides) do
    given[o[1]] = o[2]
    local ok, message = override.apply(raw, schema, o[1], o[2])
    if not ok then list[#list + 1] = err.new("recipe", message) end
  end
  local function absent(anchor, below)
    local _, entry = locate(anchor, below)
    return entry and entry.name
  end
  local function add(fault)
    local text, place = words.path(fault.path), nil
    if given[text] then
      text = ("--set %s=%s"):format(text, given[text])
    else
      place = locate(fault.anchor or { kind = "recipe" }, fault.below)
    end
    local message = (text ~= "" and text .. ": " or "") .. fault.message
    list[#list + 1] = err.new("recipe", message, { where = place })
  end
  local result, faults = spec.check(raw, schema, { setting = setting, absent = absent, callable = callable })
  for _, fault in ipairs(faults) do add(fault) end
  if #list == 0 then
    local anchor = { kind = "recipe", file = raw["@file"], line = raw["@line"] }
    cross.check(result, function(at, message) add { path = at, below = at, message = message, anchor = anchor } end)
  end
  by_line(list)
  if #list == 1 then err.raise("recipe", list[1].message, { where = list[1].where, list = list }) end
  if #list > 1 then err.raise("recipe", ("%d errors in %s"):format(#list, path), { list = list }) end
  return result
end

local function hash(sources, overrides)
  local parts = {}
  for i, s in ipairs(sources) do parts[#parts + 1] = (i == 1 and "" or s.path .. " ") .. #s.bytes .. ":" .. s.bytes end
  for _, o in ipairs(overrides) do parts[#parts + 1] = o[1] .. "=" .. o[2] end
  return digest.sha256(table.concat(parts, "\n"))
end

-- A text that only a function names (`example` reads its prompt) belongs to the recipe from the beginning: its hash and
-- the run's copy hold it. A name that is put together at run time is found by nobody.
local function read_ahead(box, source)
  for quote, name in source:gmatch "%f[%w_]ft%s*%.%s*text%s*%(?%s*([\"'])([^\"'\\\n]+)" do
    -- one that cannot be read is told where it is used
    box:run("=(texts)", ("return #ft.text(%s%s%s)"):format(quote, name, quote))
  end
end

--- Loads a recipe. Raises err "recipe" with `list`, every fault that was found; "system" when the file cannot be read.
---@param path string
---@param options { set: (string|{ [1]: string, [2]: string })[]?, limit: integer? }?  set: "path=value", or the pair
---@return ftrun.Recipe
function M.load(path, options)
  options = options or {}
  local overrides = override.list(options.set)
  local source = read(path)
  local dir = path:match("^(.*)/[^/]*$") or "."
  local dsl = prelude_source()
  local box = err.check("system", sandbox.new { root = dir == "" and "/" or dir })
  local ok, result = pcall(function()
    box:prelude("@" .. PRELUDE, dsl)
    local raw, message, code = box:run("@" .. path, source)
    if message then raise_run(message, code, prelude_names(dsl)) end
    if type(raw) ~= "table" or raw["@kind"] ~= "recipe" then
      err.raise("recipe", ("must end with `return ft.recipe { ... }`; it returned %s")
        :format(raw == nil and "nothing" or words.show(raw)), { where = path })
    end
    if not tags.genuine(raw) then err.raise("recipe", tags.message, { where = path }) end
    local take = raw["@take"]
    raw["@take"] = nil
    local locate = locator(path, source, box, dir)
    local recipe = check(raw, path, locate, overrides)
    recipe.kind = nil
    recipe.path, recipe.dir, recipe.limit = path, dir, options.limit
    recipe.overrides = overrides
    for _, file in ipairs(box:files()) do
      if file.path:find "%.lua$" then read_ahead(box, file.bytes) end
    end
    read_ahead(box, source)
    recipe.sources = { { path = path:match("[^/]*$"), bytes = source } }
    for _, file in ipairs(box:files()) do recipe.sources[#recipe.sources + 1] = file end
    recipe.sha256 = hash(recipe.sources, recipe.overrides)
    inside[recipe] = { box = box, locate = locate, take = type(take) == "userdata" and take or nil,
      anchor = { kind = "recipe", file = raw["@file"], line = raw["@line"] },
      dataset = { kind = recipe.dataset.kind, file = raw.dataset["@file"], line = raw.dataset["@line"] } }
    setmetatable(recipe, Recipe)
    recipe.said = recipe:listen(false)
    return recipe
  end)
  if not ok then
    box:close()
    error(result, 0)
  end
  return result
end

local function raise_call(fn, message, code)
  local place, text = split_place(message)
  err.raise("recipe", text, { where = place or ("%s:%d"):format(fn:where()), code = code })
end

--- Calls one of the recipe's functions with copies of the arguments. Raises err "recipe" with the place of the fault.
---@param fn any  a function handle out of the recipe
---@return any value
function Recipe:call(fn, ...)
  local value, message, code = inside[self].box:call(fn, ...)
  if not message and not tags.genuine(value) then message = tags.message end
  if message then raise_call(fn, message, code) end
  return value
end

--- As call, but a plain table, without anything that ft.NAME made, comes as the bytes that an encoder makes of it.
---@param encoder userdata  ft.dataset's
---@param fn ft.sandbox.Function
---@return string? bytes
---@return any value       the result itself, when there are no bytes
function Recipe:encode(encoder, fn, ...)
  local encoded, value, code = inside[self].box:encode(encoder, fn, ...)
  if encoded == nil then raise_call(fn, value, code) end
  if encoded then return value end
  if not tags.genuine(value) then raise_call(fn, tags.message) end
  return nil, value
end

--- Takes what the recipe has said since the last time (ft.log and the like), as it came out of the box: said.lua judges
--- it. From now on it may, or may not, say more.
---@param from_now_on boolean
---@return table[]
function Recipe:listen(from_now_on)
  local own = inside[self]
  local list = own.take and own.box:call(own.take, from_now_on)
  return type(list) == "table" and list or {}
end

--- Where a key of the recipe or of its dataset is written: "recipes/x.lua:12".
---@param ... string  "dataset", "query"
---@return string
function Recipe:where(...)
  local own, path = inside[self], { ... }
  local anchor = own.anchor
  if path[1] == "dataset" and path[2] then anchor = own.dataset; table.remove(path, 1) end
  return (own.locate(anchor, path))
end

--- Ends the box; its functions are dead then. Idempotent.
function Recipe:close()
  local own = inside[self]
  if own then own.box:close() end
end

Recipe.__close = Recipe.close

return M
