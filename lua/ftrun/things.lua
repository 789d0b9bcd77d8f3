--- Commands that list, show, delete or cancel things of the provider: `ftrun files [ACTION] [ID...]` and its like. Each
--- kind of thing is a table of functions over a provider; what is alike about the commands is here.
local columns = require "ftrun.text.columns"
local consent = require "ftrun.text.consent"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local time = require "ft.time"

local M = {}

---@class ftrun.Kind
---@field name string        "file"
---@field none string        "the provider has no files"
---@field list fun(provider: table, args: table): table[]
---@field row fun(thing: table): string[]
---@field get fun(provider: table, id: string): table
---@field lines (fun(thing: table): string[][])?  label and value; default: every plain field
---@field ends { [string]: { run: (fun(provider: table, id: string): table?), asks: string, did: string } }  actions
---  that end a thing: what is asked before, and what is said after
---@field warning (fun(thing: table): string?)?   what to know before it is ended
---@field fetch (fun(provider: table, id: string, path: string))?  for get --output

local function fields(thing)
  local rows = {}
  for key, value in pairs(thing) do
    if type(value) ~= "table" then
      rows[#rows + 1] = { key, key:find "_at$" and time.iso8601(value) or tostring(value) }
    end
  end
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  return rows
end

local function list(kind, provider, args)
  local things = kind.list(provider, args)
  if args.json then return json.print(json.array(things)) end
  if #things == 0 then return log.info(kind.none) end
  local rows = {}
  for i, thing in ipairs(things) do rows[i] = kind.row(thing) end
  columns(rows)
end

local function get(kind, provider, args)
  for _, id in ipairs(args.id) do
    local thing = kind.get(provider, id)
    if args.output then
      kind.fetch(provider, id, args.output)
      log.info(("%s: written to %s"):format(id, args.output))
    end
    if args.json then
      json.print(thing)
    elseif not args.output then
      for _, row in ipairs((kind.lines or fields)(thing)) do log.out(("%-16s %s\n"):format(row[1], row[2])) end
    end
  end
end

-- What will end is looked up first: a misspelt id is told, and the question shows what the id stands for.
local function finish(kind, provider, args, action)
  local things = {}
  for i, id in ipairs(args.id) do things[i] = kind.get(provider, id) end
  for _, thing in ipairs(things) do
    local warning = kind.warning and kind.warning(thing)
    if warning then log.warn(warning) end
    if not args.yes and not consent(action.asks:format(table.concat(kind.row(thing), "  ")), args.quiet) then
      err.raise("declined", ("%s %s is left as it is"):format(kind.name, thing.id),
        { advice = "Answer y, or add --yes." })
    end
    local result = action.run(provider, thing.id)
    log.info(("%s %s %s"):format(kind.name, thing.id, action.did))
    if args.json then json.print(result or { id = thing.id, deleted = true }) end
  end
end

--- The command over a kind of things.
---@param kind ftrun.Kind
---@return fun(args: table): integer
function M.command(kind)
  return function(args)
    local action = args.action or "list"
    if action ~= "list" and #args.id == 0 then
      err.raise("usage", ("%s which %s?"):format(action, kind.name), { advice = "See: ftrun " .. args.command })
    elseif action == "list" and #args.id > 0 then
      err.raise("usage", ("list takes no id; to look at one: ftrun %s get %s"):format(args.command, args.id[1]))
    elseif args.output and (action ~= "get" or #args.id ~= 1) then
      err.raise("usage", "--output goes with `get` and one id")
    end
    local t <close> = target.open(args["local"] and "local" or "openai")
    if action == "list" then list(kind, t.provider, args)
    elseif action == "get" then get(kind, t.provider, args)
    else finish(kind, t.provider, args, kind.ends[action]) end
    return 0
  end
end

return M
