--- ftrun watch [RUN|JOB]: follows the job; changes nothing, so it may run beside the run itself or
--- on another machine.
local err = require "ftrun.err"
local meter = require "ftrun.plan.meter"
local runs = require "ftrun.run.runs"
local terminal = require "ftrun.text.terminal"
local target = require "ftrun.target"
local watch = require "ftrun.run.watch"

local command = {}

function command.main(args, state)
  local ui = terminal.new { json = args.json, quiet = args.quiet }
  local t <close> = target.of(args, "job")
  state.detached = function()
    return ("detached: job %s %s; watch it again: ftrun watch %s"):format(t.job,
      t.inside() and "rests while no process serves it" or "goes on", t.job)
  end
  local gauge = meter.new { cost = meter.planned(t.summary), past = {} }
  local job = watch.follow { provider = t.provider, job_id = t.job, emit = ui.event, each = function(now)
    local event = gauge:read(now)
    if event then ui.event(event) end
  end }
  local summary = t.summary
  ui.result({ type = "result", run = summary and summary.id, state = job.state, job = job.id, model = job.model,
    usage = meter.balance(gauge.cost, job), dir = summary and runs.dir(summary.id) },
    summary and runs.unfinished(summary))
  if job.state ~= "succeeded" then
    err.raise("job", ("job %s: %s"):format(job.id, job.error and job.error.message or job.state))
  end
  return 0
end

return command
