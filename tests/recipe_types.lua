--- The recipe's schema as LuaCATS classes, for lua/ftrun/meta/ft.lua; recipe_types_test.lua compares the two. After a
--- change of the schema print them, and replace those in the file:
---   LUA_PATH='lua/?.lua;tests/?.lua' lua5.4 -e 'for _, b in ipairs(require "recipe_types".blocks()) do print(b) end'
local schema = require "ftrun.recipe.schema"
local words = require "ftrun.recipe.words"

local M = {}

--- Functions of a recipe, by the words with which the schema expects them.
local SIGNATURES = {
  ["function(row)"] = "fun(row: table<string, string>): ft.Example|ft.Skip|nil",
  ["function(row, piece)"] = "fun(row: table<string, string>, piece: ft.Piece): ft.Prompt|ft.Skip|nil",
  ["function(m, history)"] = "fun(m: ft.Metrics, history: ft.Metrics[]): ft.Decision?",
  ["function(c)"] = "fun(c: ft.Checkpoint): ft.Decision?",
  ["function(e)"] = "fun(e: ft.Event): ft.Decision?",
  ["function(result)"] = "fun(result: ft.Result): ft.Decision?",
  ["function(answer, expected)"] = "fun(answer: string, expected: string): any",
}

--- What the constructors of a key make.
local MADE = { dataset = "ft.Source", score = "ft.Score", grader = "ft.Grader" }

-- Tables that are all alike have one class.
local BELOW = { ["ft.Recipe.Gate"] = "ft.Recipe.Bar" }

-- json_f1 -> JsonF1
local function class_name(key)
  return (("_" .. key):gsub("_(%w)", function(c) return c:upper() end))
end

local function add(list, name)
  for _, known in ipairs(list) do if known == name then return end end
  list[#list + 1] = name
end

local function type_of(d, class)
  local list = {}
  if d.enum then
    for _, value in ipairs(d.enum) do add(list, ('"%s"'):format(value)) end
  elseif d.const then
    add(list, ('"%s"'):format(d.const))
  elseif d.any then
    for _, a in ipairs(d.any) do add(list, a.tag and assert(MADE[d[1]], d[1]) or (type_of(a, class))) end
  elseif d.type == "function" then
    add(list, assert(SIGNATURES[d.what], d.what))
  elseif d.type == "list" then
    local item = type_of(d.item, class)
    add(list, (item:find("|", 1, true) and "(" .. item .. ")" or item) .. "[]")
  elseif d.type == "map" then
    add(list, ("table<string, %s>"):format((type_of(d.item, class))))
  elseif d.type == "table" then
    add(list, class)
  else
    add(list, assert(d.type))
  end
  if d.env then add(list, "ft.Env") end
  return table.concat(list, "|")
end

local function class(name, d, doc, out)
  if out[name] then return end
  out[name] = true
  local lines = { ("--- %s"):format(doc), ("---@class (exact) %s"):format(name) }
  local place = #out + 1
  out[place] = ""
  for _, f in ipairs(d.fields) do
    local below = BELOW[name] or name .. "." .. class_name(f[1])
    local text = f.doc or ""
    if f.default ~= nil then text = ("%s (default %s)"):format(text, words.show(f.default)) end
    lines[#lines + 1] = ("---@field %s%s %s  %s"):format(f[1], f.required and "" or "?", type_of(f, below), text)
    if f.type == "table" then class(below, f, BELOW[name] and "A bar of the gate." or f.doc, out) end
    if f.type == "list" and f.item.fields then class(below, f.item, f.doc, out) end
    for _, a in ipairs(f.any or {}) do if a.tag then class("ft." .. class_name(a.tag), a, a.doc, out) end end
  end
  out[place] = table.concat(lines, "\n") .. "\n"
end

--- One block of text a class: of ft.recipe, of each table in it, and of each constructor's argument.
---@return string[]
function M.blocks()
  local out = {}
  class("ft.Recipe", schema, "What ft.recipe takes.", out)
  return out
end

return M
