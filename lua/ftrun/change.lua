--- Commands that ask for another state of a job: cancel, pause, resume.
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local watch = require "ftrun.run.watch"

local DONE = { cancel = "cancelled", pause = "paused", resume = "resumed" }

-- "succeeded", or "failed: why"
local function how(job)
  local why = job.state == "failed" and job.error and job.error.message
  return job.state .. (why and ": " .. why or "")
end

-- The job if it has ended already: a cancelled one has ended too, but that is what `cancel` asks for.
local function over(provider, id)
  local job = provider:get(id)
  return not watch.is_open(job.state) and job or nil
end

-- The job in its new state; or the job that has ended, and nothing could be changed: then also why not.
local function change(provider, method, id)
  local ok, result = pcall(provider[method], provider, id)
  if ok then return result end
  if not (err.is(result) and (result.status == 400 or result.status == 409)) then error(result, 0) end
  return over(provider, id) or error(result, 0), result
end

--- The command for a method of the provider.
---@param method "cancel"|"pause"|"resume"
---@param needs "job"|nil          see target.of
---@param ended boolean?           a job that has ended already is told, not refused
---@return { main: fun(args: table): integer }
return function(method, needs, ended)
  return { main = function(args)
    local t <close> = target.of(args, needs)
    local job, refusal = ended and over(t.provider, t.job), nil
    local late = job
    if not job then
      job, refusal = change(t.provider, method, t.job)
      late = refusal and job
    end
    if late and not ended then
      err.raise("provider", ("job %s cannot be %s: it has ended already (%s)"):format(job.id, DONE[method], how(job)),
        { code = refusal.code, status = refusal.status, request_id = refusal.request_id })
    end
    log.info(("job %s%s: %s"):format(job.id, late and " has ended already" or "", late and how(job) or job.state))
    if args.json then json.print(job) end
    return 0
  end }
end
