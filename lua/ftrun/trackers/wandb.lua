--- The W&B tracker: one W&B run in the folder of the run, wandb/offline-run-<time>-<id>/, laid out as W&B's SDK does
--- it, for `wandb sync`, or sent while it is written. The run's id is ftrun's own, so that W&B knows a run that was
--- interrupted again.
---
--- events.jsonl is the truth here too: when a run is taken up again the log is made anew from the earlier events,
--- beside the old one, and takes its place. So nothing is missing or there twice, wherever a kill came.
---
--- The records go to a sink (wandb/sink.lua), which also sends them while the run goes on when there is a key.
local err = require "ftrun.err"
local artifact = require "ftrun.wandb.artifact"
local content = require "ftrun.wandb.content"
local cost = require "ftrun.plan.cost"
local cursor = require "ftrun.wandb.cursor"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local places = require "ftrun.wandb.places"
local records = require "ftrun.wandb.records"
local settings = require "ftrun.wandb.settings"
local sink = require "ftrun.wandb.sink"
local tables = require "ftrun.wandb.table"
local terminal = require "ftrun.text.terminal"
local time = require "ft.time"
local version = require "ft.version"

local wandb = {}

local JOB_TYPE = "fine-tune"

-- an event's metrics say these in their own fields
local NO_METRIC = { step = true, total_steps = true }

---@class ftrun.trackers.Wandb
---@field c table          the run's context; see run/init.lua
---@field set ftrun.wandb.Settings
---@field start number     when the run began, seconds since 1970
---@field clock number     time of the newest event
---@field step integer?    last step that was logged
---@field latest table     what the summary says
---@field newest table     each metric's newest value
---@field row table?       the newest row of the history, while more may belong to it
---@field waiting table    values for the next row
---@field defined table<string, table>  metrics of which W&B was told something
---@field place ftrun.wandb.artifact.Place
---@field open boolean     texts of examples may be logged
---@field usage table?     newest usage event
---@field folder string
local Tracker = {}
Tracker.__index = Tracker

--- The command that logs a run afterwards, or sends the rest of it.
---@param context table
---@return string
function wandb.again(context)
  return "ftrun wandb sync " .. context.summary.id
end

-- ---- what a run is ----

--- What can be said of a run without saying what is in its data.
local function config(c)
  local r, planned = c.recipe, c.plan.cost or {}
  return { ftrun_version = version, ftrun_run = c.summary.id, recipe = r.name, recipe_sha256 = r.sha256,
    data_sha256 = c.prepare.sha256, overrides = r.overrides and json.array(r.overrides), seed = r.seed,
    suffix = r.suffix, method = r.method, base_model = r.base_model, provider = c.provider.name,
    job = c.create.job, hyperparameters = c.create.hyperparameters or r.hyperparameters,
    train = content.file_facts(c, "train"), validation = content.file_facts(c, "validation"),
    n_train = c.prepare.train and c.prepare.train.rows, n_valid = c.prepare.validation and c.prepare.validation.rows,
    price = planned.price, estimated_usd = planned.usd, estimated_tokens = planned.billed_tokens, budget = r.budget }
end

-- ---- the log ----

function Tracker:add(record, sync)
  self.log:add(record, sync)
end

--- Begins the log with what is known before the first event.
function Tracker:open_log(path)
  local c, w = self.c, self.c.recipe.wandb or {}
  err.check("system", fs.mkdir(self.folder .. "/files"))
  err.check("system", fs.mkdir(self.folder .. "/logs"))
  self.log = sink.create(path, { set = self.set, on_stop = function()
    self.stop_pressed = true
  end })
  self:add(records.header("ftrun-" .. version))
  self:add(records.run { run_id = c.summary.id, project = self.set.project, entity = self.set.entity,
    run_group = w.group, job_type = JOB_TYPE, display_name = w.run_name or c.summary.id, notes = w.notes,
    tags = settings.tags(w.tags), start_time = self.start, config = config(c), slot = "ftrun" })
  self:add(records.environment { os = "Linux", started_at = self.start, program = "ftrun" })
  err.check("system", fs.write(self.folder .. "/files/wandb-metadata.json",
    json.encode { os = "Linux", program = "ftrun", startedAt = time.iso8601(self.start) } .. "\n"))
  self.open = w.log_datasets == true
  self.place = { folder = self.folder, run_id = c.summary.id, project = self.set.project, entity = self.set.entity }
  content.opening(self)
end

function Tracker:say(text)
  self:add(records.output(log.mask(text), self.clock))
end

--- Notes newest values; the summary is what W&B's tables show.
function Tracker:sum_up(values, sync)
  for name, value in pairs(values) do self.latest[name] = value end
  self:add(records.summary(self.latest, math.floor(self.clock - self.start)), sync)
end

--- Tokens and money up to a step: the whole of what the provider, or else the plan, counts, by the share of the steps.
function Tracker:spent(share)
  local planned, u = self.c.plan.cost or {}, self.usage or {}
  local total = u.trained_tokens or u.billed_tokens or planned.billed_tokens and planned.billed_tokens.likely
  local tokens = total and math.floor(total * share + 0.5)
  return tokens, tokens and planned.price and cost.usd(tokens, planned.price)
end

-- What the summary keeps of a metric that was defined.
local aggregates = {
  min = function(d, value) return math.min(d.kept or value, value) end,
  max = function(d, value) return math.max(d.kept or value, value) end,
  mean = function(d, value) return ((d.kept or 0) * (d.count - 1) + value) / d.count end,
  first = function(d, value) return d.kept or value end,
  last = function(_, value) return value end,
}

--- Writes the newest row: nothing more belongs to it.
function Tracker:settle()
  local row = self.row
  if not row then return end
  self.row = nil
  for name, value in pairs(self.waiting) do row[name] = row[name] == nil and value or row[name] end
  self.waiting = {}
  local values = {}
  for name in pairs(row) do
    local over = self.defined[name] and self.defined[name].step_metric
    if over and row[over] == nil then values[over] = self.newest[over] end
  end
  for name, value in pairs(values) do row[name] = value end
  self:add(records.history(row))
  values = {}
  for name, value in pairs(row) do
    local d = self.defined[name]
    self.newest[name], values[name] = value, value
    local keep = d and aggregates[d.summary]
    if keep and type(value) == "number" then
      d.count = (d.count or 0) + 1
      d.kept = keep(d, value)
      values[name] = { [d.summary] = d.kept }
    elseif d and d.summary == "none" then
      values[name] = nil
    end
  end
  self:sum_up(values)
end

--- Values for the row that is open, or else for the next one.
function Tracker:note(values, step)
  local row = self.row and (not step or step == self.row._step) and self.row or self.waiting
  for name, value in pairs(values) do row[name] = value end
end

--- A table goes into the history under its key.
---@param o { key: string, columns: string[], rows: any[][], step: integer? }
function Tracker:table(o)
  local step = o.step or self.row and self.row._step or (self.step or -1) + 1
  local list, value = tables.make(self.place, { key = o.key, columns = o.columns, rows = o.rows, step = step })
  for _, record in ipairs(list) do self:add(record) end
  self:note({ [o.key] = value }, o.step)
end

--- A step comes once: a second report of the same or an earlier one changes the summary only. Its row is written when
--- the recipe's hook has had its say.
function Tracker:metrics(event)
  local row = {}
  for name, value in pairs(event.metrics) do if not NO_METRIC[name] then row[name] = value end end
  local step, total = math.tointeger(event.step), event.total_steps
  -- the provider's time, so that a log that is made anew says the same
  row._timestamp = event.created_at or self.clock
  row._runtime = math.max(0, row._timestamp - self.start)
  if total and step and total > 0 then
    row.progress = step / total
    row.tokens_so_far, row.usd_so_far = self:spent(row.progress)
  end
  if step and step > (self.step or -1) then
    row._step, self.step, self.row = step, step, row
  else
    self:sum_up(row)
  end
end

--- How the run ended; nothing may follow.
function Tracker:result(event)
  local job, usage = self.c.watch or {}, event.usage or {}
  content.closing(self, event)
  if next(self.waiting) then -- no step came after them
    self.step = (self.step or -1) + 1
    self.row = { _step = self.step, _timestamp = self.clock, _runtime = math.max(0, self.clock - self.start) }
    self:settle()
  end
  if job.finished_at then self.clock = math.max(self.clock, job.finished_at) end
  local e = event.error
  if type(e) == "table" and e.message then self:say("error: " .. e.message) end
  self:sum_up({ state = event.state, status = event.state, job = event.job, fine_tuned_model = event.model,
    trained_tokens = event.trained_tokens, cost_usd = usage.usd, planned_tokens = usage.planned_tokens,
    planned_usd = usage.planned_usd, error = type(e) == "table" and e.message and log.mask(e.message) or nil })
  local code = event.state == "succeeded" and err.kinds.ok or err.kinds.job
  self:add(records.exit(code, math.floor(self.clock - self.start)))
  self:add(records.final())
  self:add(records.footer(), true)
  self.ended = true
end

-- What the recipe says for the log; said.lua tells its shapes.
local say = {}

function say.log(self, item, step) self:note(item.values, step) end
function say.summary(self, item) self:sum_up(item.values) end

function say.define_metric(self, item)
  self.defined[item.name] = { step_metric = item.step_metric, summary = item.summary }
  local over = item.step_metric
  if over and over ~= "_step" and not self.defined[over] then
    self.defined[over] = {}
    self:add(records.metric { name = over })
  end
  self:add(records.metric(item))
end

say["table"] = function(self, item, step)
  local rows = {}
  for i, row in ipairs(item.rows) do
    rows[i] = {}
    for k, column in ipairs(item.columns) do rows[i][k] = row[column] end
  end
  self:table { key = item.name, columns = item.columns, rows = rows, step = step }
end

function say.artifact(self, item)
  local files = {}
  for _, file in ipairs(item.files) do
    local from = ("%s/%s/%s"):format(self.c.dir, item.folder, file.path)
    -- a run that was imported has its events, and not these files
    if fs.stat(from) then files[#files + 1] = { path = file.path, from = from } end
  end
  if #files == 0 then return end
  self:add((artifact.make(self.place, { name = item.name, type = item.type, metadata = item.metadata, files = files,
    aliases = item.aliases, description = item.description })))
end

function Tracker:said(event)
  for _, item in ipairs(event.items) do
    if say[item.say] then say[item.say](self, item, event.step) end
  end
end

--- One event of the run's stream, live or of an earlier start.
function Tracker:take(event)
  if self.ended then return end
  if event.created_at then self.clock = math.max(self.clock, event.created_at) end
  if event.type == "said" then return self:said(event) end
  self:settle()
  if event.type == "metrics" then
    self:metrics(event)
  elseif event.type == "result" then
    self:result(event)
  else
    if event.type == "usage" then
      self.usage = event
      self:sum_up { billed_tokens = event.billed_tokens, trained_tokens = event.trained_tokens, cost_usd = event.usd,
        n_epochs = event.n_epochs }
    elseif event.type == "state" then
      self:sum_up { state = event.state }
    elseif event.type == "checkpoint" then
      self:sum_up { checkpoint = event.model, checkpoint_step = event.step }
    end
    local line = terminal.line(event)
    if line then self:say(line) end
  end
end

-- ---- the tracker ----

--- Makes the log, at the first event: a run that was not agreed to leaves nothing.
---@param past table[]
---@param root string?  of W&B runs, when the run has no folder of its own
function Tracker:begin(past, root)
  local c = self.c
  local start = time.parse(c.summary.created)
  self.start, self.clock, self.latest = start, start, {}
  self.newest, self.waiting, self.defined = {}, {}, {}
  self.folder = places.folder(root or c.dir .. "/wandb", start, c.summary.id)
  local path = ("%s/run-%s.wandb"):format(self.folder, c.summary.id)
  self:open_log(path)
  for _, event in ipairs(past) do self:take(event) end
  if #past > 0 then cursor.grown(path) end
  self.log:publish()
end

function Tracker:close()
  if not self.log then return end
  self:settle()
  log.info("W&B: " .. self.log:close(wandb.again(self.c)))
end

--- Logs a run that is over, or the part of it that is there.
---@param context table
---@param set ftrun.wandb.Settings
---@param events table[]
---@param root string?  of W&B runs, for a job that has no folder here
---@return string folder
---@return string text   what became of it
function wandb.log(context, set, events, root)
  local self = setmetatable({ c = context, set = set }, Tracker)
  self:begin(events, root)
  self:settle()
  return self.folder, self.log:close(wandb.again(context))
end

--- nil when this run is not to be logged.
---@param context table  the run's; `summary`, `recipe` and `dir` are there, the phases' results at the first event
---@param past table[]   events of earlier starts
---@return table? tracker
function wandb.open(context, past)
  local set = settings.of(context.recipe)
  if not set.wanted then
    if not set.silent then log.info("W&B not initialised: " .. set.why) end
    return nil
  end
  local self = setmetatable({ c = context, set = set }, Tracker)
  if #past > 0 then self:begin(past) end
  return {
    event = function(event)
      if not self.log then self:begin {} end
      if not event.created_at then self.clock = math.max(self.clock, time.now()) end
      self:take(event)
    end,
    settle = function() if self.log then self:settle() end end,
    close = function() self:close() end,
    stopped = function() return self.stop_pressed and "Stop was pressed at W&B" end,
  }
end

return wandb
