--- The routes below /fine_tuning/jobs.
local time = require "ft.time"
local json = require "ftrun.json"
local answer = require "ftrun.local.answer"
local create = require "ftrun.local.create"
local Events = require "ftrun.local.events"
local Index = require "ftrun.local.index"
local Store = require "ftrun.local.store"

local M = {}

local active = { validating_files = true, queued = true, running = true }

--- A job's record as the client sees it.
---@param ctx table
local function public(ctx, record)
  local function shown(value) if value == nil then return json.null end return value end
  return {
    object = "fine_tuning.job", id = record.id, model = record.base, created_at = record.created_at,
    finished_at = shown(record.finished_at), status = record.status, organization_id = "ftrun-local",
    fine_tuned_model = record.status == "succeeded" and record.model or json.null,
    training_file = record.training_file, validation_file = shown(record.validation_file), seed = record.seed,
    user_provided_suffix = shown(record.suffix), hyperparameters = record.hyperparameters,
    method = { type = "supervised", supervised = { hyperparameters = record.hyperparameters } },
    result_files = json.array(record.status == "succeeded" and { record.result_file } or {}),
    trained_tokens = shown(record.trained_tokens), integrations = json.array(record.integrations),
    metadata = shown(record.metadata), estimated_finish = shown(ctx.trainer:estimated_finish(record)),
    error = record.error and { code = record.error.code, message = record.error.message,
                               param = shown(record.error.param) } or json.null,
  }
end

local function find(ctx, id)
  return ctx.store.jobs:get(id)
    or answer.refuse(404, "Could not find fine tune: " .. id, "fine_tune_id", "fine_tune_not_found")
end

local function model_name(base, suffix)
  local slug = (suffix or ""):lower():gsub("[^%w]+", "-"):gsub("^%-+", ""):gsub("%-+$", "")
  return ("ft:%s:local:%s:%s"):format(base, slug, Store.id("", 8))
end

function M.create(ctx, request)
  local record = create(ctx, answer.body(request))
  record.id, record.created_at = Store.id("ftjob-", 24), math.floor(time.now())
  record.status, record.checkpoints = "validating_files", json.array {}
  -- Reserved now, so that a repeated ending after a crash makes nothing twice.
  record.model, record.result_file = model_name(record.base, record.suffix), Store.id("file-", 22)
  ctx.store:save("jobs", record)
  ctx.made[record.model] = record.id
  local events = ctx.trainer:events(record)
  events:emit { key = "created", message = "Created fine-tuning job: " .. record.id }
  events:emit { key = "local", level = "warn", message = ("This is ftrun's local learner: it trains a small model of "
    .. "its own on your examples, not %s"):format(record.base) }
  events:emit { key = "validating", message = "Validating training file: " .. record.training_file
    .. (record.validation_file and " and validation file: " .. record.validation_file or "") }
  ctx.trainer:take(record)
  return public(ctx, record)
end

--- metadata[k]=v pairs that a job must have; metadata=null asks for jobs without metadata.
local function metadata_filter(query)
  local wanted
  for name, value in pairs(query) do
    local key = name:match "^metadata%[(.*)%]$"
    if key then
      wanted = wanted or {}
      wanted[key] = value
    end
  end
  if wanted then
    return function(record)
      for key, value in pairs(wanted) do
        if not record.metadata or record.metadata[key] ~= value then return false end
      end
      return true
    end
  end
  if query.metadata == "null" then
    return function(record) return not record.metadata or next(record.metadata) == nil end
  end
end

function M.list(ctx, request)
  local paging = answer.paging(request.query, 20, 1000)
  paging.accept = metadata_filter(request.query)
  return answer.page(ctx.store.jobs, paging, function(record) return public(ctx, record) end, false)
end

function M.get(ctx, _, id)
  return public(ctx, find(ctx, id))
end

function M.events(ctx, request, id)
  local record = find(ctx, id)
  return answer.page(ctx.trainer:events(record), answer.paging(request.query, 20, 1000), Events.public, false)
end

local function checkpoint(record)
  return function(c)
    return { object = "fine_tuning.job.checkpoint", id = c.id, created_at = c.created_at,
             fine_tuning_job_id = record.id, step_number = c.step, metrics = c.metrics,
             fine_tuned_model_checkpoint = ("%s:ckpt-step-%d"):format(record.model, c.step) }
  end
end

function M.checkpoints(ctx, request, id)
  local record = find(ctx, id)
  local index = Index.new()
  for _, c in ipairs(record.model_deleted and {} or record.checkpoints) do index:add(c.id, c) end
  return answer.page(index, answer.paging(request.query, 10, 1000), checkpoint(record), json.null)
end

local function refuse_state(record, what)
  answer.refuse(400, ("The job %s is %s and cannot be %s."):format(record.id, record.status, what), nil,
    "invalid_job_state")
end

--- A job that is to be changed, and its log, which is read before anything changes: that may wait, and a request may
--- end there.
local function open(ctx, id)
  local record = find(ctx, id)
  return record, ctx.trainer:events(record)
end

function M.cancel(ctx, _, id)
  local record, events = open(ctx, id)
  if not active[record.status] and record.status ~= "paused" then refuse_state(record, "cancelled") end
  record.status, record.finished_at = "cancelled", math.floor(time.now())
  events:emit { key = "cancelled", message = "Fine-tuning job cancelled" }
  ctx.store:save("jobs", record)
  return public(ctx, record)
end

function M.pause(ctx, _, id)
  local record, events = open(ctx, id)
  if not active[record.status] then refuse_state(record, "paused") end
  record.status = "paused"
  events:emit { message = "Fine-tuning job paused" }
  ctx.store:save("jobs", record)
  return public(ctx, record)
end

function M.resume(ctx, _, id)
  local record, events = open(ctx, id)
  if record.status ~= "paused" then refuse_state(record, "resumed") end
  record.status = record.validated and "queued" or "validating_files"
  events:emit { message = "Fine-tuning job resumed" }
  ctx.store:save("jobs", record)
  ctx.trainer:take(record)
  return public(ctx, record)
end

return M
