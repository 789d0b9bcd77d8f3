--- ftrun events [RUN|JOB]: all events so far, oldest first.
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local terminal = require "ftrun.text.terminal"
local time = require "ft.time"
local watch = require "ftrun.run.watch"
local wrap = require "ftrun.text.wrap"

local command = {}

local function line(event, width)
  local at = event.created_at and time.iso8601(event.created_at) or (" "):rep(20)
  return wrap.text(at .. "  " .. terminal.line(event), width)
end

function command.main(args)
  local t <close> = target.of(args, "job")
  local width = wrap.width "stdout"
  watch.follow { provider = t.provider, job_id = t.job, past = {}, once = true,
    emit = function(event) log.out((args.json and json.encode(event) or line(event, width)) .. "\n") end }
  return 0
end

return command
