--- ftrun wandb sync: logs runs and jobs that are there already, and sends what waits on disk. What was logged is not
--- logged again; each gets one line that says what became of it.
local cursor = require "ftrun.wandb.cursor"
local err = require "ftrun.err"
local existing = require "ftrun.wandb.existing"
local fs = require "ft.fs"
local json = require "ftrun.json"
local online = require "ftrun.wandb.online"
local places = require "ftrun.wandb.places"
local run_log = require "ftrun.wandb.log"
local runs = require "ftrun.run.runs"
local settings = require "ftrun.wandb.settings"
local sink = require "ftrun.wandb.sink"
local target = require "ftrun.target"
local tracker = require "ftrun.trackers.wandb"
local wrap = require "ftrun.text.wrap"

local sync = {}

local JOBS_MAX = 100 -- the newest ones of the provider, for --all

---@class ftrun.wandb.Outcome
---@field type "wandb"
---@field run string      W&B's id of the run: ftrun's own, or the job's
---@field did "logged"|"sent"|"skipped"|"failed"
---@field text string
---@field dir string?

local function complete(path)
  local list = run_log.read(path)
  for i = #(list or {}), 1, -1 do if list[i].exit then return true end end
  return false
end

-- Sends a log that is on disk, when there is a server to send it to.
local function send(place, set)
  local r = online.send { path = place.log, set = set }
  if r.why then return "failed", ("%s; it is kept in %s"):format(r.why, place.dir) end
  return "sent", ("it is at %s%s"):format(r.url or set.base_url, sink.refused(r.lost))
end

--- What to do with one of them, done. `make` gives it as existing.lua does.
local function one(id, make, o)
  local place = places.list(id)[1]
  if place and not o.overwrite and complete(place.log) then
    if place.synced then return "skipped", "it was logged and sent already (--overwrite logs it again)", place.dir end
    if not o.set.online then
      return "skipped", "it is logged already (--overwrite logs it again); "
        .. sink.upload(place.log, "ftrun wandb sync " .. id), place.dir
    end
    local did, text = send(place, o.set)
    return did, text, place.dir
  end
  if not make then return "skipped", "its calls go on", place and place.dir end
  local it = make()
  local set = settings.of { wandb = it.context.recipe.wandb or {} }
  if place and o.overwrite then cursor.forget(place.log) end
  if place then cursor.grown(place.log) end
  local _ <close> = setmetatable({}, { __close = function()
    if it.context.recipe.close then it.context.recipe:close() end
    if it.files then fs.remove(it.files, true) end
  end })
  local dir, text = tracker.log(it.context, set, it.events, not it.context.dir and places.root() or nil)
  return "logged", text, dir
end

-- The runs and jobs that are named, or all: { id, make }
local function wanted(args, provider_of)
  local list, seen = {}, {}
  local function add(id, make)
    if not seen[id] then list[#list + 1], seen[id] = { id = id, make = make }, true end
  end
  local function add_run(summary) add(summary.id, function() return existing.run(summary) end) end
  for _, name in ipairs(args.job or {}) do
    local ok, summary = pcall(runs.resolve, name, "job")
    if ok then
      add_run(summary)
    elseif places.list(name)[1] and not name:find "^ftjob" then
      add(name)
    elseif name:find "^ftjob" then
      add(name, function() return existing.job(provider_of(), name, args.log_datasets) end)
    else
      error(summary, 0)
    end
  end
  if not args.all then return list end
  local own = {}
  for _, summary in ipairs(runs.list()) do
    if summary.job then own[summary.job] = true end
    if summary.job and summary.state ~= "open" then add_run(summary) end
  end
  for _, place in ipairs(places.list()) do if not seen[place.id] then add(place.id) end end
  if args["local"] or require("ft.secrets").origin "OPENAI_API_KEY" then
    local provider = provider_of()
    for _, job in ipairs(provider:jobs { limit = JOBS_MAX }) do
      if not own[job.id] and (job.state == "succeeded" or job.state == "failed" or job.state == "cancelled") then
        add(job.id, function() return existing.job(provider, job.id, args.log_datasets) end)
      end
    end
  end
  return list
end

---@return integer exit_code
function sync.main(args)
  if not args.all and #(args.job or {}) == 0 then
    err.raise("usage", "nothing is named to be logged", { advice = "Name runs or jobs, or give --all." })
  end
  local set = settings.of { wandb = {} }
  if not set.wanted then err.raise("setting", "W&B not initialised: " .. set.why) end
  local opened
  local _ <close> = setmetatable({}, { __close = function()
    if opened then getmetatable(opened).__close(opened) end
  end })
  local function provider_of()
    opened = opened or target.open(args["local"] and "local" or "openai")
    return opened.provider
  end
  local failure
  for _, item in ipairs(wanted(args, provider_of)) do
    local ok, did, text, dir = pcall(one, item.id, item.make, { set = set, overwrite = args.overwrite })
    if not ok then
      if not err.is(did) then error(did, 0) end
      failure, did, text = failure or did, "failed", tostring(did)
    elseif did == "failed" then
      failure = failure or err.new("network", "not all was sent to W&B", { advice = "The same command goes on." })
    end
    if args.json then
      json.print { type = "wandb", run = item.id, did = did, text = text, dir = dir }
    elseif not args.quiet or did == "failed" then
      wrap.print(("%s: %s: %s"):format(item.id, did, text))
    end
  end
  if failure then error(failure, 0) end
  return 0
end

return sync
