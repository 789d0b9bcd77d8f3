--- ftrun list: runs of this folder, or jobs of the provider.
local amounts = require "ftrun.text.amounts"
local columns = require "ftrun.text.columns"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local time = require "ft.time"

local command = {}

local COLUMNS = 80 -- at most, where there is no terminal too

local function list_jobs(args)
  local t <close> = target.open(args["local"] and "local" or "openai")
  local jobs = t.provider:jobs { limit = 50 }
  if args.json then return json.print(json.array(jobs)) end
  if #jobs == 0 then return log.info("the provider has no jobs") end
  local rows = {}
  for i, job in ipairs(jobs) do
    rows[i] = { job.id, job.state, time.iso8601(job.created_at), job.model or job.base_model }
  end
  columns(rows)
end

-- What came of a run: its main score, and what it has cost; each nil when it is not known.
local function outcome(r)
  local result = json.decode(fs.read(runs.dir(r.id) .. "/result.json") or "")
  local evaluation = json.decode(fs.read(runs.dir(r.id) .. "/evaluation.json") or "")
  result, evaluation = type(result) == "table" and result or {}, type(evaluation) == "table" and evaluation or {}
  local usage, first, score = result.usage or {}, (evaluation.scores or {})[1], nil
  if first then
    score = { name = first.name, base = first.base and first.base.value, tuned = first.tuned and first.tuned.value,
      verdict = first.verdict }
  end
  local asked = evaluation.cost and evaluation.cost.usd
  -- a training that another run paid for is counted there
  local trained = result.trained_by and 0 or usage.usd
  return score, trained and trained + (asked or 0) or nil
end

local function number(v) return v and ("%.3f"):format(v) or "-" end

local function row_of(r, score, usd)
  local state = r.state
  -- once the job is made, what goes on is its training
  if state == "open" then state = "open: " .. (r.phase == "create" and "training" or r.phase) end
  score = score or {}
  return { r.id, state, score.name or "-", number(score.base), number(score.tuned), score.verdict or "-",
    r.provider == "local" and "free" or usd and amounts.usd(usd) or "-" }
end

local function list_runs(args)
  local list = runs.list()
  if args.names then
    for _, r in ipairs(list) do log.out(r.id .. "\n") end
    return
  end
  if args.json then
    for _, r in ipairs(list) do r.score, r.usd = outcome(r) end
    return json.print(json.array(list))
  end
  if #list == 0 then
    return log.info("no runs in " .. runs.place() .. "\n  " .. (runs.START:gsub("\n", "\n  ")))
  end
  local rows = { { "run", "state", "score", "base", "tuned", "verdict", "cost" } }
  for _, r in ipairs(list) do rows[#rows + 1] = row_of(r, outcome(r)) end
  columns(rows, 1, COLUMNS)
end

function command.main(args)
  if args.jobs then list_jobs(args) else list_runs(args) end
  return 0
end

return command
