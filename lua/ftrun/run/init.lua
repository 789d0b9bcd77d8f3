--- One run: a table of phases, each recorded in the journal before its result is used, so that the
--- same command continues where the last one stopped. Nothing is created at the provider without an
--- intent on disk, and never twice: a request whose answer was lost is looked up before it is sent
--- again.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local phases = require "ftrun.run.phases"
local runs = require "ftrun.run.runs"
local trackers = require "ftrun.trackers"
local training = require "ftrun.run.training"

local run = {}

--- What "the same run again" means: recipe text, overrides, limit and where it goes.
---@return string hash
function run.identity(recipe, provider, limit)
  local path = fs.realpath(recipe.path) or recipe.path
  return digest.sha256(table.concat({ recipe.sha256, path, training.target(provider), tostring(limit) }, "\n"))
end

--- Keeps the recipe as it was used, with what it included.
local function keep_sources(recipe, dir)
  for i, source in ipairs(recipe.sources) do
    local path = i == 1 and dir .. "/recipe.lua" or ("%s/sources/%s"):format(dir, source.path)
    err.check("system", fs.mkdir(path:match("^(.*)/")))
    err.check("system", fs.write(path, source.bytes))
  end
end

--- A finished run of the same recipe on the same data is not paid for again.
local function same_data(c, before)
  local records = journal.read(runs.dir(before.id) .. "/journal.jsonl")
  local function hashes(prepared)
    local parts = { prepared.sha256 }
    for _, side in ipairs { prepared.train, prepared.validation } do
      parts[#parts + 1] = side.sha256 or side.file_id
    end
    return table.concat(parts, " ")
  end
  for i = #records, 1, -1 do
    if records[i].phase == "prepare" then return hashes(records[i].data) == hashes(c.prepare) end
  end
end

local function open_context(o, summary)
  local dir = runs.dir(summary.id)
  return { recipe = o.recipe, provider = o.provider, ui = o.ui, limit = o.limit, summary = summary, dir = dir,
    private = o.private,
    journal = journal.open(dir .. "/journal.jsonl"), failed = {} }
end

--- Takes over what a phase has made, or had made before a crash.
local function take_over(c, name, data)
  local summary = c.summary
  c[name], summary.phase = data, name
  if name == "create" then summary.job = data.job end
  if name == "watch" or name == "choose" then summary.model = data.model end
end

--- Whether somebody has agreed to what a run does: without that its rows and texts may still change.
local function agreed(records)
  for _, record in ipairs(records) do if record.phase == "confirm" then return true end end
  return false
end

--- The newest run of an identity. One that a kill left before anybody agreed to it is swept away: it must not hide the
--- finished run before it, whose job would be paid for again.
local function newest(identity)
  while true do
    local summary = runs.find(identity)
    if not summary or summary.state ~= "open"
      or agreed(journal.read(runs.dir(summary.id) .. "/journal.jsonl")) then return summary end
    runs.remove(summary)
  end
end

--- The run that is continued, or a new one.
local function take_up(o, identity, before)
  if before and before.state == "open" then return before end
  local summary = runs.create { identity = identity, name = o.recipe.name, recipe = o.recipe.path,
    provider = o.provider.name, base_model = o.recipe.base_model, overrides = json.array(o.recipe.overrides),
    limit = o.limit }
  keep_sources(o.recipe, runs.dir(summary.id))
  return summary
end

--- Runs a recipe to the end, or continues it. Raises err for every orderly end but success.
---@param o { recipe: table, provider: table, ui: table, limit: integer?, new: boolean?, last: string?,
---  private: boolean? }  last: the phase to stop after ("create": the job goes on at the provider); private: no tracker
---  but that of the run's own files hears of it
---@return table result  the result event; its state is "open" after `last`
function run.start(o)
  local identity = run.identity(o.recipe, o.provider, o.limit)
  local _ <close> = runs.hold(identity)
  local before = not o.new and newest(identity) or nil
  local summary = take_up(o, identity, before)
  local c = open_context(o, summary)
  c.new = o.new == true
  local _ <close> = c.journal
  local _ <close> = setmetatable({}, { __close = function() if c.held then c.held:close() end end })
  -- without somebody's word nothing is left
  local _ <close> = setmetatable({}, { __close = function()
    if not agreed(c.journal.records) then runs.remove(summary) end
  end })
  c.continued = agreed(c.journal.records)
  if c.continued then
    for _, phase in ipairs(phases) do
      local data = c.journal:last("phase", phase.name)
      if data then take_over(c, phase.name, data) end
      -- a phase that the recipe does not ask for has left nothing
      if not data and not (phase.wanted and c.watch and not phase.wanted(c)) then break end
    end
    runs.save(summary)
    o.ui.note(("continuing run %s after '%s' (--new begins again)"):format(summary.id, summary.phase))
  end
  local done = before and before.state == "succeeded" and not c.prepare
  o.ui.run(summary, done)
  c.trackers = trackers.open(c)
  local _ <close> = setmetatable({}, { __close = function() c.trackers.close() end })

  for _, phase in ipairs(phases) do
    if not c[phase.name] and (not phase.wanted or phase.wanted(c)) then
      o.ui.phase(phase.name)
      local data = phase.run(c) or {}
      take_over(c, phase.name, data)
      if phase.name == "prepare" and done and not same_data(c, before) then o.ui.run(summary) end
      if phase.name == "prepare" and before and before.state == "succeeded" and same_data(c, before) then
        o.ui.note(("run %s did this already with the same recipe and the same data (--new trains again)")
          :format(before.id))
        return json.decode(err.check("system", fs.read(runs.dir(before.id) .. "/result.json")))
      end
      c.journal:done(phase.name, data)
      runs.save(summary)
    end
    if phase.name == o.last then
      return { type = "result", run = summary.id, state = "open", job = summary.job, dir = c.dir }
    end
  end
  summary.state = c.result.state
  runs.save(summary)
  return c.result
end

return run
