--- Documents made from the tables that the program runs on: the man page, and the README's tables of commands and
--- exit codes (a test compares them).
local commands = require "ftrun.commands"
local err = require "ftrun.err"
local schema = require "ftrun.recipe.schema"
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

--- Settings from the environment or `.env`: name and meaning.
docs.settings = {
  { "OPENAI_API_KEY", "key for OpenAI; kept out of Lua, files and messages" },
  { "OPENAI_ADMIN_KEY", "admin key, for `ftrun permissions` alone; kept out of Lua, files and messages" },
  { "OPENAI_BASE_URL", "another server that speaks OpenAI's API" },
  { "OPENAI_ORG_ID, OPENAI_PROJECT_ID", "organisation and project to bill" },
  { "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies, as curl reads them; never used for loopback" },
  { "CURL_CA_BUNDLE, SSL_CERT_FILE", "file of certificates to trust instead of the system's" },
  { "SSL_CERT_DIR", "the same as a folder, as OpenSSL names its files" },
  { "DATABASE_URL", "the PostgreSQL database, as postgresql://user:password@host/name" },
  { "WANDB_PROJECT, WANDB_ENTITY", "project and team at Weights & Biases; the recipe's own go first" },
  { "WANDB_API_KEY", "key for Weights & Biases, which asks for logging; kept out of Lua, files and messages" },
  { "WANDB_ENABLED, WANDB_MODE",
    "false, or disabled: nothing is logged to Weights & Biases; offline: runs stay on disk" },
  { "WANDB_BASE_URL", "a Weights & Biases server of your own" },
  { "FTRUN_DIR", "folder of runs and of the local provider; default .ftrun" },
  { "FTRUN_LOG", "error, warn, info or debug; default info" },
  { "FTRUN_LUA", "folders to take ftrun's own Lua sources from, for work on ftrun" },
  { "NO_COLOR", "no colours" },
}

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
  for _, s in ipairs(docs.settings) do add(".TP", ".B " .. roff(s[1]), roff(s[2])) end
  add(".SH EXIT STATUS")
  for _, row in ipairs(err.table) do add(".TP", ".B " .. row[2], roff(row[3])) end
  return table.concat(out, "\n") .. "\n"
end

local function rows(head, list)
  local out = { head, (head:gsub("[^|]+", " --- ")) }
  for _, row in ipairs(list) do out[#out + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(out, "\n")
end

--- Keys of a recipe. The bars of a gate are all alike: one of them stands for the rest.
local function recipe_rows()
  local list = {}
  for _, f in ipairs(spec.fields(schema)) do
    if not f.path:find("^gate%.") or f.path:find("^gate%.f1") then
      local path = f.path:gsub("^ +", function(indent) return ("&nbsp;"):rep(#indent) end)
      path = path:gsub("[%w_.]+$", "`%0`"):gsub("ft%.(.*)$", "ft.%1")
      list[#list + 1] = { path, (f.expected:gsub("|", "\\|")), f.doc }
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
  for i, row in ipairs(docs.settings) do s[i] = { "`" .. row[1]:gsub(", ", "`, `") .. "`", row[2] } end
  return {
    commands = rows("| command | does |", c),
    ["exit codes"] = rows("| code | meaning |", e),
    recipes = rows("| key | expected | what |", recipe_rows()),
    settings = rows("| name | meaning |", s),
  }
end

return docs
