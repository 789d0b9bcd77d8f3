--- ftrun watch [RUN|JOB]: follows the job; changes nothing, so it may run beside the run itself or
--- on another machine.
local err = require "ftrun.err"
local meter = require "ftrun.plan.meter"
local runs = require "ftrun.run.runs"
local terminal = require "ftrun.text.terminal"
local target = require "ftrun.target"
local watch = require "ftrun.run.watch"

local command = {}

--- What to say of a job that no run of this folder has: looking keeps nothing of it; and how to get what a run has.
local function note_stranger(ui, job, is_local)
  local flag, run = is_local and " --local" or "", job.metadata.ftrun_run
  local done = job.state == "succeeded"
  if done then ui.note(('ask it: ftrun chat%s --model %s "..."'):format(flag, job.model)) end
  if type(run) ~= "string" then
    ui.note(("no run in %s/runs has this job: what was shown is not kept"):format(runs.root()))
    return
  end
  ui.note(("the run %s, which made this job, is not in %s/runs: what was shown is not kept"):format(run, runs.root()))
  if done then
    ui.note(("to have it here (scores, report, promotion, lock file) start its recipe on the same rows; it uses this "
      .. "job, and pays for no other:\n  ftrun%s RECIPE"):format(flag))
  end
end

function command.main(args, state)
  local ui = terminal.new { json = args.json, quiet = args.quiet }
  local t <close> = target.of(args, "job")
  state.detached = function()
    return ("detached: job %s %s; watch it again: ftrun watch%s %s"):format(t.job,
      t.inside() and "rests while no process serves it" or "goes on",
      not t.summary and args["local"] and " --local" or "", t.job)
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
  if not summary then note_stranger(ui, job, args["local"]) end
  if job.state ~= "succeeded" then
    err.raise("job", ("job %s: %s"):format(job.id, job.error and job.error.message or job.state))
  end
  return 0
end

return command
