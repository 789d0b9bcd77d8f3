--- Documents made from the tables that the program runs on: the man pages, and the README's tables (a test compares
--- them).
local commands = require "ftrun.commands"
local err = require "ftrun.err"
local schema = require "ftrun.recipe.schema"
local settings = require "ftrun.settings"
local spec = require "ftrun.recipe.spec"
local version = require "ft.version"

local docs = {}

--- roff has its own use for backslashes, hyphens and leading dots.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"))
end

local function synopsis(c)
  local parts = { "ftrun", c.name }
  for _, a in ipairs(c.args or {}) do
    local name = a[1]:upper() .. (a.many and "..." or "")
    parts[#parts + 1] = a.optional and "[" .. name .. "]" or name
  end
  return table.concat(parts, " ")
end

--- ftrun(1) in man's macros.
---@return string
function docs.man()
  local out = { '.TH FTRUN 1 "" "ftrun ' .. version .. '" "User Commands"', ".SH NAME",
    "ftrun \\- LLM fine\\-tuning runs as Lua recipes", ".SH SYNOPSIS", ".B ftrun", "[\\-\\-local] RECIPE.lua", ".br",
    ".B ftrun", "COMMAND [options]", ".SH DESCRIPTION",
    "Takes rows from PostgreSQL or JSONL, writes training files, uploads them, creates a fine\\-tuning job,",
    "watches it and keeps the result. The same command, started again, continues where it stopped.", ".SH COMMANDS" }
  local function add(...) for _, line in ipairs { ... } do out[#out + 1] = line end end
  for _, c in ipairs(commands) do
    add(".SS " .. roff(synopsis(c)), roff(c.does))
    for _, a in ipairs(c.args or {}) do add(".TP", ".I " .. roff(a[1]:upper()), roff(a[2])) end
    for _, o in ipairs(c.options) do
      add(".TP", ".B " .. roff(o[1]:gsub(" ", ", ") .. (o.args and " " .. o.args or "")), roff(o[2]))
    end
    add(".PP", "Example: " .. roff(c.example))
  end
  add(".SH ENVIRONMENT", "Read from the environment, then from .env in the current folder.")
  for _, s in ipairs(settings) do add(".TP", ".B " .. roff(s[1]), roff(s[2])) end
  add(".SH EXIT STATUS")
  for _, row in ipairs(err.table) do add(".TP", ".B " .. row[2], roff(row[3])) end
  add(".SH SEE ALSO", ".BR ftrun\\-recipe (5)")
  return table.concat(out, "\n") .. "\n"
end

--- Keys of a recipe. The bars of a gate are all alike: what stands in one of them is said once.
local function recipe_fields()
  local list = {}
  for _, f in ipairs(spec.fields(schema)) do
    if not f.path:find "^gate%..*%." or f.path:find "^gate%.f1" then list[#list + 1] = f end
  end
  return list
end

--- ftrun-recipe(5) in man's macros: every key of a recipe.
---@return string
function docs.recipe_man()
  local out = { '.TH FTRUN-RECIPE 5 "" "ftrun ' .. version .. '" "File Formats"', ".SH NAME",
    "ftrun\\-recipe \\- keys of an ftrun recipe", ".SH DESCRIPTION",
    "A recipe is a Lua file that ends with", ".B return ft.recipe { ... }", ".PP",
    "Unknown keys, wrong types and impossible values are errors.",
    "A key in a table is written here as table.key; what stands in ft.NAME { ... } is set in below it.", ".SH KEYS" }
  local depth = 0
  for _, f in ipairs(recipe_fields()) do
    local indent, path = f.path:match "^( *)(.*)$"
    for _ = depth, #indent // 2 - 1 do out[#out + 1] = ".RS" end
    for _ = #indent // 2, depth - 1 do out[#out + 1] = ".RE" end
    depth = #indent // 2
    out[#out + 1] = ".TP"
    out[#out + 1] = ".B " .. roff(path)
    out[#out + 1] = roff(f.expected == "" and f.doc or ("%s. Expected: %s."):format(f.doc, f.expected))
  end
  for _ = 1, depth do out[#out + 1] = ".RE" end
  out[#out + 1] = ".SH SEE ALSO\n.BR ftrun (1)"
  return table.concat(out, "\n") .. "\n"
end

local function rows(head, list)
  local out = { head, (head:gsub("[^|]+", " --- ")) }
  for _, row in ipairs(list) do out[#out + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(out, "\n")
end

--- What a recipe may have at its top: what is expected, of a table the names of what stands in it.
local function recipe_rows()
  local list, at = {}, {}
  for _, f in ipairs(spec.fields(schema)) do
    local top, inner = f.path:match "^([%w_]+)%.?([%w_]*)$"
    if inner == "" then
      list[#list + 1] = { "`" .. top .. "`", (f.expected:gsub("|", "\\|")), f.doc }
      at[top] = list[#list]
    elseif top then
      at[top][2] = (at[top][2] ~= "a table" and at[top][2] .. ", " or "") .. "`" .. inner .. "`"
    end
  end
  return list
end

--- The README's tables, by name.
---@return table<string, string>
function docs.tables()
  local c, e, s = {}, {}, {}
  for i, command in ipairs(commands) do c[i] = { "`" .. synopsis(command) .. "`", command.does } end
  for i, row in ipairs(err.table) do e[i] = { row[2], row[3] } end
  for i, row in ipairs(settings) do s[i] = { "`" .. row[1]:gsub(", ", "`, `") .. "`", row[2] } end
  return {
    commands = rows("| command | does |", c),
    ["exit codes"] = rows("| code | meaning |", e),
    recipes = rows("| key | expected | what |", recipe_rows()),
    settings = rows("| name | meaning |", s),
  }
end

return docs
