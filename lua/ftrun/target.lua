--- Where a command's requests go: OpenAI, or the local provider - the one that another process
--- serves from this folder, or one started inside this process. When that other process ends in the middle, the same
--- requests go on: to whoever serves the folder next, or to this process, which serves it then.
local err = require "ftrun.err"
local log = require "ft.log"
local providers = require "ftrun.providers"
local runs = require "ftrun.run.runs"
local time = require "ft.time"

local target = {}

local LOOKS, LOOK_S = 20, 0.05 -- who has just taken the folder writes a moment later where it serves it

--- Folder of the local provider's files, jobs and models.
---@return string
function target.local_dir()
  return runs.root() .. "/local"
end

--- Where the local provider of this folder is served, by this process if by nobody else.
---@param here { server: table?, closed: boolean? }  `server` is set when this process serves it
---@param gone string?     an address where nobody answered: waits a little for what comes after it
---@param patient boolean
---@return string url  `gone` again when whoever served there still holds the folder
local function locate(here, gone, patient)
  local fault
  for look = 1, patient and LOOKS or 1 do
    if look > 1 then time.sleep(LOOK_S) end
    if here.closed then return gone end
    if here.server then return here.server.url end
    local ok, server = pcall(require("ftrun.local.server").start, { dir = target.local_dir(), port = 0 })
    if ok then
      here.server = server
      return server.url
    end
    if not err.is(server) or server.kind ~= "busy" then error(server, 0) end
    -- another process serves this folder: its jobs are ours
    if server.holder and server.holder ~= gone then return server.holder end
    fault = server
  end
  return gone or error(fault, 0)
end

---@class ftrun.Target
---@field provider table
---@field inside fun(): boolean  the local provider runs inside this process now: training stops with it

--- Opens a provider. The result is to be closed: local t <close> = target.open{...}.
---@param name "openai"|"local"
---@return ftrun.Target
function target.open(name)
  local here, o = {}, { name = name, on_retry = log.warn }
  if name == "local" then
    o.base_url, o.auth_secret = locate(here, nil, true), false
    function o.locate(gone, patient) return locate(here, gone, patient) end
  end
  return setmetatable({ provider = providers.open(o), inside = function() return here.server ~= nil end },
    { __close = function()
      here.closed = true
      if here.server then here.server:close() end
    end })
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
