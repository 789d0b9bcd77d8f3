--- ftrun list: runs of this folder, or jobs of the provider.
local columns = require "ftrun.columns"
local json = require "ftrun.json"
local log = require "ft.log"
local runs = require "ftrun.runs"
local target = require "ftrun.target"
local time = require "ft.time"

local command = {}

local function list_jobs(args)
  local t <close> = target.open(args["local"] and "local" or "openai")
  local jobs = t.provider:jobs { limit = 50 }
  if args.json then return log.out(json.encode(json.array(jobs)) .. "\n") end
  if #jobs == 0 then return log.info("the provider has no jobs") end
  local rows = {}
  for i, job in ipairs(jobs) do
    rows[i] = { job.id, job.state, time.iso8601(job.created_at), job.model or job.base_model }
  end
  columns(rows)
end

local function list_runs(args)
  local list = runs.list()
  if args.json then return log.out(json.encode(json.array(list)) .. "\n") end
  if #list == 0 then
    return log.info("no runs in " .. runs.root() .. "; start one: ftrun --local recipes/legal-extraction.lua")
  end
  local rows = {}
  for i, r in ipairs(list) do
    local state = r.state == "open" and "open: " .. r.phase or r.state
    rows[i] = { r.id, r.provider, state, r.model or r.job or r.base_model }
  end
  columns(rows)
end

function command.main(args)
  if args.jobs then list_jobs(args) else list_runs(args) end
  return 0
end

return command
