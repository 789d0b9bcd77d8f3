--- ftrun watch [RUN|JOB]: follows the job; changes nothing, so it may run beside the run itself or
--- on another machine.
local err = require "ftrun.err"
local meter = require "ftrun.plan.meter"
local runs = require "ftrun.run.runs"
local terminal = require "ftrun.text.terminal"
local target = require "ftrun.target"
local watch = require "ftrun.run.watch"

local command = {}

--- One attempt; nil when the process that served the local provider has ended: this one can serve it then.
local function follow(args, state, ui, memory, usage)
  local t <close> = target.of(args, "job")
  state.detached = function()
    return ("detached: job %s %s; watch it again: ftrun watch %s"):format(t.job,
      t.inside and "rests while no process serves it" or "goes on", t.job)
  end
  local gauge = meter.new { cost = meter.planned(t.summary), past = usage }
  local ok, job = pcall(watch.follow, { provider = t.provider, job_id = t.job, memory = memory, emit = ui.event,
    each = function(now)
      local event = gauge:read(now)
      if event then
        usage[#usage + 1] = event
        ui.event(event)
      end
    end })
  if ok then return job, t.summary, meter.balance(gauge.cost, job) end
  if target.lost(t, job) then return nil end
  error(job, 0)
end

function command.main(args, state)
  local ui = terminal.new { json = args.json, quiet = args.quiet }
  local memory, told = watch.remember {}, {}
  local job, summary, usage
  repeat job, summary, usage = follow(args, state, ui, memory, told) until job
  ui.result { type = "result", run = summary and summary.id, state = job.state, job = job.id, model = job.model,
    usage = usage, dir = summary and runs.dir(summary.id) }
  if job.state ~= "succeeded" then
    err.raise("job", ("job %s: %s"):format(job.id, job.error and job.error.message or job.state))
  end
  return 0
end

return command
