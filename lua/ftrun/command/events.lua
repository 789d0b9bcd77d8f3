--- ftrun events [RUN|JOB]: all events so far, oldest first.
local json = require "ftrun.json"
local target = require "ftrun.target"
local terminal = require "ftrun.text.terminal"
local time = require "ft.time"
local watch = require "ftrun.run.watch"
local wrap = require "ftrun.text.wrap"

local command = {}

local function show(event)
  local at = event.created_at and time.iso8601(event.created_at) or (" "):rep(20)
  wrap.print(at .. "  " .. terminal.line(event))
end

function command.main(args)
  local t <close> = target.of(args, "job")
  watch.follow { provider = t.provider, job_id = t.job, past = {}, once = true,
    emit = args.json and json.print or show }
  return 0
end

return command
