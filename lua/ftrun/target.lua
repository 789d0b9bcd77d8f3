--- Where a command's requests go: OpenAI, or the local provider - the one that another process
--- serves from this folder, or one started inside this process.
local err = require "ftrun.err"
local log = require "ft.log"
local providers = require "ftrun.providers"
local runs = require "ftrun.run.runs"
local time = require "ft.time"

local target = {}

local LOOKS, LOOK_S = 20, 0.05 -- who has just taken the folder writes a moment later where it serves it

local function note_retry(text)
  log.warn(text)
end

--- Folder of the local provider's files, jobs and models.
---@return string
function target.local_dir()
  return runs.root() .. "/local"
end

local function open_local()
  local ok, server, url
  for _ = 1, LOOKS do
    ok, server = pcall(require("ftrun.local.server").start, { dir = target.local_dir(), port = 0 })
    if ok or not err.is(server) or server.kind ~= "busy" or server.holder then break end
    time.sleep(LOOK_S)
  end
  if ok then
    url = server.url
  elseif err.is(server) and server.kind == "busy" and server.holder then
    url, server = server.holder, nil -- another process serves this folder: its jobs are ours
  else
    error(server, 0)
  end
  local provider = providers.open { name = "local", base_url = url, auth_secret = false, on_retry = note_retry }
  return provider, server
end

---@class ftrun.Target
---@field provider table
---@field inside boolean  the local provider runs inside this process: training stops with it

--- Opens a provider. The result is to be closed: local t <close> = target.open{...}.
---@param name "openai"|"local"
---@return ftrun.Target
function target.open(name)
  local provider, server
  if name == "local" then
    provider, server = open_local()
  else
    provider = providers.open { name = name, on_retry = note_retry }
  end
  return setmetatable({ provider = provider, inside = server ~= nil },
    { __close = function() if server then server:close() end end })
end

--- True when the process that served the local provider has ended in between: opened again, the target is served by
--- another process, or by this one.
---@param t ftrun.Target
---@param e any  what was raised
---@return boolean
function target.lost(t, e)
  return err.is(e) and e.kind == "network" and not e.status and t.provider.name == "local" and not t.inside
end

--- The run or job that a command names, and its provider. A name that looks like a job's id and is
--- no run of this folder is taken as one, so that a job can be watched from another machine.
---@param args { run: string?, ["local"]: boolean? }
---@param needs "job"|nil  "job": a newer run that has no job yet is passed over
---@return ftrun.Target target  with `summary` (nil for a foreign job) and `job` (its id)
function target.of(args, needs)
  local ok, summary = pcall(runs.resolve, args.run, needs)
  if not ok then
    if not (args.run and args.run:match("^ftjob")) then error(summary, 0) end
    summary = nil
  end
  if summary and not summary.job then
    err.raise("usage", ("run %s has no job yet (last phase: %s)"):format(summary.id, summary.phase),
      { advice = "Continue it: " .. runs.command(summary) })
  end
  local t = target.open(summary and summary.provider or args["local"] and "local" or "openai")
  t.summary, t.job = summary, summary and summary.job or args.run
  return t
end

return target
