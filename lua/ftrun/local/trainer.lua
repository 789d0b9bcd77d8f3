--- Trains the queued jobs, one after another, one minibatch a turn of the loop. Every step of a job's life may be
--- repeated after a restart: events carry keys, ids are reserved in the record, states are saved at each epoch's end.
local fs = require "ft.fs"
local digest = require "ft.digest"
local log = require "ft.log"
local task = require "ft.task"
local time = require "ft.time"
local err = require "ftrun.err"
local counted = require "ftrun.local.counted"
local learn = require "ftrun.local.learn"
local check = require "ftrun.local.check"
local files = require "ftrun.local.files"
local Events = require "ftrun.local.events"
local Store = require "ftrun.local.store"

local Trainer = {}
Trainer.__index = Trainer

local KEPT_EPOCHS = 3
local KEPT_LOGS = 8 -- that nobody writes to: who pages through a log asks for it again and again

local metric_names = { "step", "total_steps", "train_loss", "train_mean_token_accuracy", "valid_loss",
                       "valid_mean_token_accuracy", "full_valid_loss", "full_valid_mean_token_accuracy" }

---@param ctx table  store, made, open
function Trainer.new(ctx)
  -- Beyond the newest few, logs of jobs that nobody uses are dropped and read again when asked for.
  local logs = setmetatable({}, { __mode = "v" })
  return setmetatable({ ctx = ctx, validating = {}, queue = {}, logs = logs, recent = {}, opening = {} }, Trainer)
end

local function open_log(self, id)
  self.opening[id] = true
  local _ <close> = setmetatable({}, { __close = function() self.opening[id] = nil end })
  local events = Events.open(self.ctx.store:events_path(id))
  self.logs[id] = events
  return events
end

--- A job's event log. May wait, while a long one is read.
function Trainer:events(record)
  while self.opening[record.id] do time.sleep(0.002) end
  local events = self.logs[record.id] or open_log(self, record.id)
  local recent = self.recent
  for i, other in ipairs(recent) do
    if other == events then table.remove(recent, i) break end
  end
  table.insert(recent, 1, events)
  recent[KEPT_LOGS + 1] = nil
  return events
end

--- The job that still reads a file, if there is one.
---@return string? job_id
function Trainer:user_of(file_id)
  local users = self.ctx.store.jobs:page { limit = 1, accept = function(record)
    return not record.finished_at and (record.training_file == file_id or record.validation_file == file_id)
  end }
  return users[1] and users[1].id
end

--- Unix seconds; nil unless the job is training.
function Trainer:estimated_finish(record)
  local run = self.run
  if not run or run.record ~= record or run.taken == 0 or record.status ~= "running" then return nil end
  local each = (time.monotonic() - run.began) / run.taken
  return math.ceil(time.now() + each * run.left)
end

local function fail(self, record, e, param)
  local code, message = "server_error", tostring(e)
  if err.is(e) then
    code, message = e.code or e.kind, e.message
  else
    log.error(("job %s failed: %s"):format(record.id, message))
    message = "The local provider failed: " .. message
  end
  record.status, record.finished_at = "failed", math.floor(time.now())
  record.error = { code = code, message = message, param = param }
  local written, why = pcall(function()
    self:events(record):emit { key = "failed", level = "error", message = message }
    self.ctx.store:save("jobs", record)
  end)
  -- On a full disk the failure itself cannot be kept; the next start tries the job again.
  if not written then log.error(("job %s failed, which could not be written down: %s"):format(record.id, why)) end
end

--- Looks at the files of a job: nothing when they are good, else the error and the parameter that names the file.
local function examine(self, record)
  for _, role in ipairs { "training", "validation" } do
    local id = record[role .. "_file"]
    local ok, e = true, nil
    if id then ok, e = pcall(check.examples, self.ctx.store:content(id), role) end
    if not ok then
      if err.is(e) and e.code == "invalid_file_format" then e.code = ("invalid_%s_file"):format(role) end
      return e, role .. "_file"
    end
  end
end

local function options(self, record)
  local h, store = record.hyperparameters, self.ctx.store
  return { train = store:content(record.training_file), seed = record.seed, n_epochs = h.n_epochs,
           validation = record.validation_file and store:content(record.validation_file), batch_size = h.batch_size,
           learning_rate_multiplier = h.learning_rate_multiplier }
end

local function begin(self, record)
  local last = record.checkpoints[#record.checkpoints]
  if last then return learn.resume(self.ctx.store:state_path(record.id, last.step), options(self, record)) end
  return learn.start(options(self, record))
end

local function tidy(x)
  if math.type(x) ~= "float" then return x end
  return tonumber(("%.6g"):format(x))
end

local function metrics_of(m)
  local metrics = {}
  for _, name in ipairs(metric_names) do metrics[name] = tidy(m[name]) end
  return metrics
end

local function step_message(m)
  local text = ("Step %d/%d: training loss=%.4f"):format(m.step, m.total_steps, m.train_loss)
  if m.valid_loss then text = text .. (", validation loss=%.4f"):format(m.valid_loss) end
  if m.full_valid_loss then text = text .. (", full validation loss=%.4f"):format(m.full_valid_loss) end
  return text
end

--- Keeps the state at an epoch's end: the state first, then the record that names it, then the older states go.
local function keep(self, record, trainer, metrics)
  local store, path = self.ctx.store, self.ctx.store:state_path(record.id, metrics.step)
  trainer:save(path .. ".part")
  if record.status ~= "running" then return end
  err.check("system", fs.rename(path .. ".part", path))
  local list, gone = record.checkpoints, nil
  list[#list + 1] = { id = Store.id("ftckpt_", 24), step = metrics.step, created_at = math.floor(time.now()),
                      metrics = metrics }
  if #list > KEPT_EPOCHS then gone = table.remove(list, 1) end
  self:events(record):emit { key = "checkpoint-" .. metrics.step,
                             message = ("Checkpoint created at step %d"):format(metrics.step) }
  store:save("jobs", record)
  if gone then store:remove_states(record.id, gone.step) end
end

--- OpenAI's file of results: a CSV in base64, one line a step.
local function result_file(events)
  local lines = { "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,full_valid_loss,"
    .. "full_valid_mean_token_accuracy" }
  events:each_metrics(function(m)
    local cells = { m.step, m.train_loss, m.train_mean_token_accuracy or "", m.valid_loss or "",
                    m.valid_mean_token_accuracy or "", m.full_valid_loss or "", m.full_valid_mean_token_accuracy or "" }
    lines[#lines + 1] = table.concat(cells, ",")
  end)
  return digest.base64(table.concat(lines, "\n") .. "\n")
end

local function succeed(self, record, trainer)
  local events = self:events(record)
  files.add(self.ctx, record.result_file, "step_metrics.csv", "fine-tune-results", result_file(events))
  events:emit { key = "model", message = "New fine-tuned model created: " .. record.model
    .. " (ftrun's local learner, not " .. record.base .. ")" }
  events:emit { key = "succeeded", message = "The job has successfully completed" }
  record.status, record.finished_at = "succeeded", math.floor(time.now())
  record.trained_tokens = trainer.counted * trainer.n_epochs
  self.ctx.store:save("jobs", record)
end

--- The trainer that the learner is ready to step, or nil when the job was stopped meanwhile.
local function start(self, record)
  record.status = "running"
  self:events(record):emit { key = "started", message = "Fine-tuning job started" }
  self.ctx.store:save("jobs", record)
  local trainer = begin(self, record)
  trainer.counted = counted.file(record.base, self.ctx.store:content(record.training_file))
  if record.status ~= "running" then
    trainer:close()
    return nil
  end
  record.hyperparameters = { n_epochs = trainer.n_epochs, batch_size = trainer.hyperparameters.batch_size,
    learning_rate_multiplier = trainer.hyperparameters.learning_rate_multiplier }
  self.ctx.store:save("jobs", record)
  return trainer
end

local function train(self, record)
  local events = self:events(record) -- held, so that nothing waits for it below
  if record.status ~= "queued" and record.status ~= "running" then return end
  local trainer = start(self, record)
  if not trainer then return end
  local _ <close> = setmetatable({}, { __close = function() trainer:close() end })
  local run = { record = record, began = time.monotonic(), taken = 0, left = trainer.total_steps }
  self.run = run
  while true do
    local m = trainer:step()
    if record.status ~= "running" then return end
    if not m then break end
    local metrics = metrics_of(m)
    run.taken, run.left = run.taken + 1, m.total_steps - m.step
    events:emit { key = "step-" .. m.step, message = step_message(m), metrics = metrics }
    if m.epoch_end then keep(self, record, trainer, metrics) end
    time.sleep(0)
    if record.status ~= "running" then return end
  end
  succeed(self, record, trainer)
end

--- The next job of the queue that still wants to be trained (it may have been paused or cancelled meanwhile).
local function next_job(self)
  while self.queue[1] do
    local record = table.remove(self.queue, 1)
    if record.status == "running" or record.status == "queued" then return record end
  end
end

local function work(self)
  for record in next_job, self do
    local ok, e = pcall(train, self, record)
    self.run = nil
    if not ok and (record.status == "running" or record.status == "queued") then
      fail(self, record, e, err.is(e) and e.kind == "data" and "training_file" or nil)
    end
  end
  self.worker = nil
end

local function enqueue(self, record)
  self.queue[#self.queue + 1] = record
  if not self.worker then self.worker = task.spawn(work, self) end
end

local function admit(self, record)
  record.status, record.validated = "queued", true
  self:events(record):emit { key = "validated", message = "Files validated, moving job to queued state" }
  self.ctx.store:save("jobs", record)
  enqueue(self, record)
end

local function validate(self, record)
  local ok, e, param = pcall(examine, self, record)
  self.validating[record.id] = nil
  if record.status ~= "validating_files" then return end
  if ok and not e then ok, e = pcall(admit, self, record) end
  if not ok or e then fail(self, record, e, param) end
end

--- Takes a job that is to be validated or trained.
function Trainer:take(record)
  if record.status ~= "validating_files" then return enqueue(self, record) end
  if not self.validating[record.id] then self.validating[record.id] = task.spawn(validate, self, record) end
end

--- Continues what the last process left, first the job that was training.
function Trainer:continue()
  local left = self.ctx.store.jobs:page { limit = math.huge, oldest_first = true, accept = function(record)
    return not record.finished_at and record.status ~= "paused"
  end }
  for _, record in ipairs(left) do if record.status == "running" then self:take(record) end end
  for _, record in ipairs(left) do if record.status ~= "running" then self:take(record) end end
end

function Trainer:close()
  for _, validating in pairs(self.validating) do validating:cancel() end
  if self.worker then self.worker:cancel() end
  for _, events in pairs(self.logs) do events:close() end
end

return Trainer
