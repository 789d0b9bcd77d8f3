--- Which training a run asks for, and whether it exists already: it is paid for once, whatever else of the recipe was
--- edited since.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local once = require "ftrun.run.once"
local request = require "ftrun.plan.request"
local runs = require "ftrun.run.runs"
local watch = require "ftrun.run.watch"

local M = {}

--- Where a run trains: another server is another training.
---@param provider ftrun.Provider
---@return string
function M.target(provider)
  return provider.name == "local" and "local" or provider.name .. " " .. provider.base_url
end

--- The hash of what goes into the request for a job, with the hash of each file in place of its id.
---@param recipe ftrun.Recipe
---@param provider ftrun.Provider
---@param prepared ftrun.Prepared
---@return string hash
function M.identity(recipe, provider, prepared)
  local function content(side) return side and (side.sha256 or side.file_id) end
  local asked = request.of(recipe, content(prepared.train), content(prepared.validation))
  -- who else is told of the job changes nothing in it; "auto" is what a provider does unasked
  asked.integrations, asked.hyperparameters, asked.target = nil, {}, M.target(provider)
  for name, value in pairs(recipe.hyperparameters) do
    if value ~= "auto" then asked.hyperparameters[name] = value end
  end
  return digest.sha256(json.encode(asked))
end

--- How the job tells it: its metadata hold 512 characters at most, and people read them.
---@param hash string
---@return table<string, string>
function M.mark(hash) return { ftrun_training = hash:sub(1, 32) } end

--- Runs of this folder that ask for the same training, newest first.
local function siblings(c)
  local list = {}
  for _, summary in ipairs(runs.list()) do
    if summary.training == c.summary.training and summary.id ~= c.summary.id then list[#list + 1] = summary end
  end
  return list
end

local function get(c, id)
  local ok, job = pcall(c.provider.get, c.provider, id)
  if ok then return job end
  if not (err.is(job) and job.status == 404) then error(job, 0) end
end

--- A job that failed, or whose model was deleted, is no use.
local function useful(c, job)
  if not job then return nil end
  if job.state ~= "succeeded" then return watch.is_open(job.state) and job or nil end
  local ok, e = pcall(c.provider.model, c.provider, job.model)
  if not ok and not (err.is(e) and e.status == 404) then error(e, 0) end
  return ok and job or nil
end

local function creator(job)
  local run = job.metadata.ftrun_run
  return type(run) == "string" and run or nil
end

--- Whether the request of a run that was interrupted made a job: it is looked for as that run itself would.
local function lost(c, summary)
  local path = runs.dir(summary.id) .. "/journal.jsonl"
  if summary.state ~= "open" or not fs.stat(path) then return nil end
  local own <close> = journal.open(path)
  if not own:pending "create" then return nil end
  return once.look({ provider = c.provider, ui = c.ui, journal = own }, "create", true,
    function() return c.provider:find { ftrun_run = summary.id } end)
end

--- Whether a run of this folder has done this training, or does it; asks nobody.
---@param c ftrun.run.Context
---@return boolean
function M.known(c)
  if c.new then return false end
  for _, summary in ipairs(siblings(c)) do
    if summary.job and (summary.state == "open" or summary.model) then return true end
  end
  return false
end

--- The job that trains, or has trained, what this run asks for: of a run in this folder, or one that the provider knows
--- of a run whose folder is gone or elsewhere. nil when there is none, or when the run was asked to train again.
---@param c ftrun.run.Context
---@return ftrun.Job? job
---@return string? run  that created it
function M.find(c)
  if c.new then return nil end
  for _, summary in ipairs(siblings(c)) do
    local job
    if not summary.job then
      job = lost(c, summary)
    elseif summary.state == "open" or summary.model then
      job = get(c, summary.job)
    end
    job = useful(c, job)
    if job then return job, creator(job) or summary.id end
  end
  local job = useful(c, c.provider:find(M.mark(c.summary.training)))
  return job, job and creator(job)
end

--- What a user reads of it.
---@param job ftrun.Job
---@param run string?
---@return string
function M.line(job, run)
  local here = run and fs.stat(runs.dir(run))
  local who = ("%s%s"):format(run and "run " .. run or "a run without a name", here and "" or ", which is not here,")
  return job.state == "succeeded"
    and ("%s trained exactly this: its model is used, and nothing is paid for twice (--new trains again)"):format(who)
    or ("%s is training exactly this: its job %s (%s) is followed, and nothing is paid for twice (--new trains again)")
      :format(who, job.id, job.status)
end

--- An edited recipe is another run: the job of the one before it goes on, and costs, unless somebody ends it.
---@param c ftrun.run.Context
function M.mention_others(c)
  local path = fs.realpath(c.recipe.path)
  for _, summary in ipairs(runs.list()) do
    if summary.id ~= c.summary.id and summary.state == "open" and summary.job
      and summary.provider == c.provider.name and fs.realpath(summary.recipe) == path then
      log.warn(("run %s of this recipe, with other settings or an earlier text, is open: its job %s goes on; "
        .. "ftrun watch %s, or ftrun cancel %s"):format(summary.id, summary.job, summary.id, summary.id))
    end
  end
end

--- Holds a training for this process, from the look for it to the job: two recipes may ask for the same at a time.
---@param c ftrun.run.Context
---@return ft.fs.Lock
function M.hold(c)
  c.summary.training = c.summary.training or M.identity(c.recipe, c.provider, c.prepare)
  return runs.hold(c.summary.training, "another run is starting exactly this training",
    "Start again when its job is created: this run then follows that job.")
end

return M
