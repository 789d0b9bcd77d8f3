--- A run's state machine against a provider in memory that can lose answers and die, and the plan and data that such a
--- run has.
local t = require "harness"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"

--- Stands for dataset.prepare: writes what a recipe without a source would give.
package.loaded["ftrun.data.dataset"] = { prepare = function(recipe, o)
  local file = { path = o.dir .. "/train.jsonl", rows = 10, bytes = 3, sha256 = digest.sha256(recipe.data_sha256) }
  assert(fs.write(file.path, recipe.data_sha256))
  local validation
  if recipe.evaluate then
    local rows = {}
    for i = 1, 12 do
      rows[i] = json.encode { messages = { { role = "user", content = "Row " .. i },
        { role = "assistant", content = "yes" } } }
    end
    local text = table.concat(rows, "\n") .. "\n"
    validation = { path = o.dir .. "/validation.jsonl", rows = 12, bytes = #text, sha256 = digest.sha256(text) }
    assert(fs.write(validation.path, text))
  end
  return { train = file, validation = validation, rows = 10, written = 10, skipped = {}, sha256 = recipe.data_sha256 }
end }
local check = require("ftrun.plan").check
package.loaded["ftrun.plan"] = { make = function(recipe) return recipe.plan or { problems = {} } end, check = check }
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"

local double = {}

local function fake_recipe(dir)
  return { path = dir .. "/fake.lua", name = "fake", base_model = "gpt-4o-mini-2024-07-18", seed = 1,
    sha256 = ("a"):rep(64), data_sha256 = ("d"):rep(64), dataset = {}, hyperparameters = {}, overrides = {}, on = {},
    sources = { { path = "fake.lua", bytes = "return 1" } },
    call = function(_, hook, ...) return hook(...) end, listen = function() return {} end }
end

--- A provider that keeps what was created, and fails where `faults` says: faults.create = "before" | "after".
local function fake_provider()
  local p = { name = "local", uploads = 0, jobs = {}, files = {}, faults = {}, polls = 0, looks = 0 }
  local function fail(kind, sent) err.raise("network", "the connection was reset", { code = kind, sent = sent }) end
  local function maybe(what, when)
    if p.faults[what] == when then
      p.faults[what] = nil
      fail("reset", when == "after")
    end
  end
  function p:preflight() maybe("preflight", "before") end
  function p:find_file(o)
    for _, f in ipairs(p.files) do if f.filename == o.filename and f.bytes == o.bytes then return f end end
  end
  function p:put_file(o)
    maybe("put_file", "before")
    p.uploads = p.uploads + 1
    p.files[#p.files + 1] = { id = "file-" .. p.uploads, filename = o.filename, bytes = 3 }
    maybe("put_file", "after")
    return p.files[#p.files]
  end
  function p:create(o)
    maybe("create", "before")
    local job = { id = "ftjob-" .. (#p.jobs + 1), metadata = o.metadata, state = "running", status = "running",
      base_model = o.model, hyperparameters = {}, result_files = {} }
    p.jobs[#p.jobs + 1] = job
    maybe("create", "after")
    return job
  end
  function p:find(metadata)
    if metadata.ftrun_run then p.looks = p.looks + 1 end
    for _, job in ipairs(p.jobs) do
      local all = true
      for k, v in pairs(metadata) do all = all and job.metadata[k] == v end
      if all then return job end
    end
  end
  function p.model() end
  function p:pause(id) return self:cancel(id) end
  local function job_of(id) return p.jobs[tonumber(id:match("%d+$"))] end
  function p:get(id)
    maybe("get", "before")
    p.polls = p.polls + 1
    local job = job_of(id)
    if p.polls >= 4 then
      job.state, job.status, job.model = "succeeded", "succeeded", "ft:fake"
    end
    return job
  end
  function p:listed(after)
    local list, from = {}, after and tonumber(after:match("%d+$")) or 0
    for i = from + 1, p.polls * 2 do
      list[#list + 1] = { id = "ftevent-" .. i, created_at = 1, level = "info", kind = "metrics",
        metrics = { step = i, total_steps = 8, train_loss = 1 / i } }
    end
    maybe("events", "after")
    return list
  end
  function p:events(_, after)
    local list, i = self:listed(after), 0
    return function()
      i = i + 1
      return list[i]
    end
  end
  function p:checkpoints() return {} end
  function p:result() return "step,train_loss\n1,1\n" end
  function p:cancel(id)
    local job = job_of(id)
    job.state, job.status, p.polls = "cancelled", "cancelled", 1
    p.get = function() return job end
    return job
  end
  return p
end

function double.quiet_ui()
  local ui = { notes = {}, events = {} }
  function ui.note(text) ui.notes[#ui.notes + 1] = text end
  function ui.event(event) ui.events[#ui.events + 1] = event end
  function ui.confirm() return true end
  for _, name in ipairs { "run", "phase", "progress", "plan", "past" } do ui[name] = function() end end
  return ui
end

--- Runs body(start, provider, recipe, dir) with the runs' folder in a temporary one.
function double.in_folder(body)
  local folder <close> = t.folder()
  local root = runs.root
  runs.root = function() return folder.path .. "/.ftrun" end
  local _ <close> = setmetatable({}, { __close = function() runs.root = root end })
  local provider, recipe = fake_provider(), fake_recipe(folder.path)
  local function start(o)
    local options = { recipe = recipe, provider = provider, ui = double.quiet_ui() }
    for k, v in pairs(o or {}) do options[k] = v end
    return run.start(options), options.ui
  end
  body(start, provider, recipe, folder.path)
end

function double.raised_after(kind, message, status)
  return function() err.raise(kind, message, { status = status }) end
end

function double.steps_of(dir)
  local steps = {}
  for line in fs.read(dir .. "/metrics.jsonl"):gmatch("[^\n]+") do steps[#steps + 1] = json.decode(line).step end
  return steps
end

function double.events_of(dir, kind)
  local list = {}
  for line in fs.read(dir .. "/events.jsonl"):gmatch("[^\n]+") do
    local event = json.decode(line)
    if event.type == kind then list[#list + 1] = event end
  end
  return list
end

return double
