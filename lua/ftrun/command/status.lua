--- ftrun status [RUN|JOB]
local json = require "ftrun.json"
local log = require "ft.log"
local meter = require "ftrun.plan.meter"
local promote = require "ftrun.run.promote"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local time = require "ft.time"
local watch = require "ftrun.run.watch"

local command = {}

-- rows of label and value; those without a value are left out
local function text_of(rows)
  local text = {}
  for _, row in ipairs(rows) do
    if row[2] then text[#text + 1] = ("%-17s %s"):format(row[1], tostring(row[2])) end
  end
  return table.concat(text, "\n")
end

-- Whether the model was put to use, and still is.
local function promoted(summary)
  local record, undone
  if summary then record, undone = promote.of(promote.records(), summary.id) end
  if not record then return nil end
  return ("%s in %s, %s%s"):format(record.key, record.env_file, promote.when(record),
    undone and ("; undone %s"):format(promote.when(undone)) or "")
end

local function lines(job, summary, rests)
  local function at(seconds) return seconds and time.iso8601(seconds) end
  local waiting = watch.waiting(job)
  local balance = meter.balance(meter.planned(summary), job)
  local left = summary and not watch.is_open(job.state) and runs.unfinished(summary)
  local rows = {
    { "run", summary and summary.id }, { "job", job.id }, { "state", job.state },
    { "waiting", waiting and watch.waiting_line(waiting) },
    { "base model", job.base_model }, { "model", job.model }, { "created", at(job.created_at) },
    { "finished", at(job.finished_at) }, { "estimated finish", at(job.estimated_finish) },
    { "trained", balance and meter.balance_line(balance):gsub("^trained ", "") },
    { "promoted", promoted(summary) }, { "error", job.error and job.error.message },
    { "folder", summary and runs.dir(summary.id) },
    { "training", rests and "rests while no process serves it" },
    { "run itself", left and "not finished: nothing is measured or recorded yet" },
    { "continue", left or rests and runs.command(summary) },
  }
  return text_of(rows)
end

--- A run without a job: only this folder knows about it.
local function open_lines(summary)
  return text_of({ { "run", summary.id }, { "state", "open: no job yet" }, { "last phase", summary.phase },
    { "base model", summary.base_model }, { "created", summary.created }, { "folder", runs.dir(summary.id) },
    { "continue", runs.command(summary) } })
end

function command.main(args)
  local found, summary = pcall(runs.resolve, args.run)
  if found and not summary.job then
    log.out((args.json and json.encode(summary) or open_lines(summary)) .. "\n")
    return 0
  end
  local t <close> = target.of(args)
  local job = t.provider:get(t.job)
  local rests = t.inside() and t.summary and watch.is_open(job.state)
  log.out((args.json and json.encode(job) or lines(job, t.summary, rests)) .. "\n")
  return 0
end

return command
