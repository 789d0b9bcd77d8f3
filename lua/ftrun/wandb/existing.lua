--- Runs and jobs that are there already, as what the W&B tracker sees of a run that goes on: a context and events. From
--- the run's own folder where there is one, or else from the provider, as W&B's own integration has it.
local digest = require "ft.digest"
local err = require "ftrun.err"
local files = require "ftrun.trackers.files"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local places = require "ftrun.wandb.places"
local recipe = require "ftrun.recipe"
local runs = require "ftrun.run.runs"
local time = require "ft.time"
local watch = require "ftrun.run.watch"

local existing = {}

---@class ftrun.wandb.Existing
---@field context table    as run.lua's
---@field events table[]
---@field ended boolean    the result is among them
---@field files string?     a folder to be removed afterwards

-- The recipe of a run. One that was changed or moved since gives its name alone: nothing of it is sent then.
local function recipe_of(summary, dir)
  local ok, loaded = pcall(recipe.load, summary.recipe, { set = summary.overrides, limit = summary.limit })
  if ok and loaded.sources[1].bytes == fs.read(dir .. "/recipe.lua") then return loaded end
  if ok then loaded:close() end
  log.warn(("the recipe of run %s was changed since; what it says of W&B does not count"):format(summary.id))
  local lock = json.decode(fs.read(dir .. "/lock.json") or "") or {}
  return { name = summary.name, base_model = summary.base_model, sha256 = lock.recipe_sha256, seed = lock.seed,
    overrides = summary.overrides, wandb = {} }
end

--- A run of this folder.
---@param summary ftrun.Run.Summary
---@return ftrun.wandb.Existing
function existing.run(summary)
  local dir = runs.dir(summary.id)
  local c = { summary = summary, dir = dir, recipe = recipe_of(summary, dir), provider = { name = summary.provider } }
  for _, record in ipairs(journal.read(dir .. "/journal.jsonl")) do
    if record.phase then c[record.phase] = record.data end
  end
  if not c.create then
    err.raise("usage", ("run %s has no job yet (last phase: %s)"):format(summary.id, summary.phase))
  end
  c.plan, c.prepare = c.plan or {}, c.prepare or {}
  local events = files.events(dir)
  local last = events[#events]
  return { context = c, events = events, ended = last ~= nil and last.type == "result" }
end

-- ---- a job of the provider ----

local function number(cell)
  local n = tonumber(cell)
  return n and n == n and (math.tointeger(n) or n) or nil
end

--- The rows of a job's result file: a step and its numbers each.
---@param csv string
---@return table[]
function existing.result_rows(csv)
  local rows, names = {}, nil
  for line in csv:gsub("^\xEF\xBB\xBF", ""):gmatch "[^\r\n]+" do
    local cells = {}
    for cell in (line .. ","):gmatch "([^,]*)," do cells[#cells + 1] = cell:match '^"?(.-)"?$' end
    if not names then
      names = cells
    else
      local row = {}
      for i, name in ipairs(names) do row[name] = number(cells[i]) end
      if row.step then rows[#rows + 1] = row end
    end
  end
  return rows
end

-- The result file has every step; the events tell when each was.
local function with_results(events, csv)
  local at, known = {}, {}
  local rows = existing.result_rows(csv)
  for _, row in ipairs(rows) do known[row.step] = row end
  for _, e in ipairs(events) do
    if e.type == "metrics" and known[e.step] then
      at[e.step] = true
      for name, value in pairs(known[e.step]) do
        if e.metrics[name] == nil then e.metrics[name] = value end
      end
    end
  end
  local list, next_row = {}, 1
  local function up_to(step, when)
    while rows[next_row] and rows[next_row].step < step do
      local row = rows[next_row]
      if not at[row.step] then
        list[#list + 1] = { type = "metrics", step = row.step, metrics = row, created_at = when }
      end
      next_row = next_row + 1
    end
  end
  local total, newest = #rows > 0 and rows[#rows].step or nil, nil
  for _, e in ipairs(events) do
    newest = e.created_at or newest
    if e.type == "metrics" and e.step then
      up_to(e.step, e.created_at)
      e.total_steps = e.total_steps or total
    end
    list[#list + 1] = e
  end
  up_to(math.huge, newest)
  return list
end

local function rows_of(path)
  local rows = 0
  for line in io.lines(path) do rows = rows + (line:find "%S" and 1 or 0) end
  return rows
end

-- A file of examples; its content, too, when it is to be in a folder.
local function file_of(provider, id, folder)
  if not id then return nil end
  local ok, file = pcall(provider.file, provider, id)
  file = ok and file or {}
  local path
  if folder then
    path = folder .. "/" .. digest.sha256(id):sub(1, 16)
    local fetched, e = pcall(provider.fetch_file, provider, id, path)
    if not fetched then
      if not err.is(e) then error(e, 0) end
      log.warn(("file %s cannot be had, and is logged without its texts: %s"):format(id, e.message))
      path = nil
    end
  end
  return { file_id = id, bytes = file.bytes, filename = file.filename, path = path, sha256 = path and
    digest.sha256_file(path), rows = path and rows_of(path) }
end

--- A job that is at its end, from the provider. Waits.
---@param provider table
---@param id string
---@param texts boolean?  also what is in its files of examples
---@return ftrun.wandb.Existing
function existing.job(provider, id, texts)
  local events = {}
  local job = watch.follow { provider = provider, job_id = id, past = {}, once = true, emit = function(event)
    events[#events + 1] = event
  end }
  if watch.is_open(job.state) then
    err.raise("usage", ("job %s is not at its end (%s)"):format(id, job.state), { advice = "ftrun watch " .. id })
  end
  local ok, csv = pcall(provider.result, provider, job)
  if not ok then
    if not (err.is(csv) and csv.kind == "provider") then error(csv, 0) end
    log.warn(("the result file of job %s cannot be had: %s"):format(id, csv.message))
  elseif csv then
    events = with_results(events, csv)
  end
  local created = job.created_at or events[1] and events[1].created_at or time.now()
  local folder
  if texts then
    folder = ("%s/%s-%s.files"):format(places.root(), id, digest.random_hex(4))
    err.check("system", fs.mkdir(folder))
  end
  local c = { summary = { id = id, created = time.iso8601(created) }, provider = provider, plan = {}, watch = job,
    create = { job = id, hyperparameters = job.hyperparameters },
    prepare = { train = file_of(provider, job.training_file, folder),
      validation = file_of(provider, job.validation_file, folder) },
    recipe = { base_model = job.base_model, seed = job.seed, wandb = { log_datasets = texts or nil } } }
  events[#events + 1] = { type = "result", run = id, state = job.state, job = id, model = job.model,
    trained_tokens = job.trained_tokens, error = job.error }
  return { context = c, events = events, ended = true, files = folder }
end

return existing
