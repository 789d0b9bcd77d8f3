--- Commands that ask for another state of a job: cancel, pause, resume.
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local watch = require "ftrun.run.watch"

--- The command for a method of the provider.
---@param method "cancel"|"pause"|"resume"
---@param needs "job"|nil          see target.of
---@param ended boolean?           a job that has ended already is told, not refused
---@return { main: fun(args: table): integer }
return function(method, needs, ended)
  return { main = function(args)
    local t <close> = target.of(args, needs)
    local job = ended and t.provider:get(t.job)
    if job and not watch.is_open(job.state) then
      log.info(("job %s has ended already: %s"):format(job.id, job.state))
    else
      job = t.provider[method](t.provider, t.job)
      log.info(("job %s: %s"):format(job.id, job.state))
    end
    if args.json then log.out(json.encode(job) .. "\n") end
    return 0
  end }
end
