--- From the OpenAI wire's objects to canonical values. Unknown fields are left out, unknown states are "unknown", and a
--- field of the wrong type counts as absent.
local json = require "ftrun.json"
local errors = require "ftrun.providers.errors"

local values = {}

local function text(v) return type(v) == "string" and v ~= "" and v or nil end
local function number(v) return type(v) == "number" and v or nil end
local function integer(v) return type(v) == "number" and math.tointeger(v) or nil end
local function object(v) return type(v) == "table" and v or {} end


--- Spellings of job states on this wire and its dialects.
local states = {
  validating_files = "validating", validating = "validating", queued = "queued", pending = "queued", created = "queued",
  running = "running", paused = "paused", succeeded = "succeeded", failed = "failed", cancelled = "cancelled",
  canceled = "cancelled",
}

--- A copy with plain values only: whole numbers as integers, no nulls, lists and objects below left out.
local function plain(t)
  local copy = {}
  for k, v in pairs(object(t)) do
    if type(k) == "string" and v ~= json.null and type(v) ~= "table" then copy[k] = integer(v) or v end
  end
  return copy
end

--- Counts of tokens: a server that says something else than a number has said nothing.
---@return table<string, integer>
function values.usage(w)
  local counts = {}
  for k, v in pairs(plain(w)) do if math.type(v) == "integer" and v >= 0 then counts[k] = v end end
  return counts
end

values.text, values.integer, values.object, values.plain = text, integer, object, plain

---@class ftrun.File
---@field id string
---@field filename string?
---@field bytes integer?
---@field purpose string?
---@field created_at integer?
---@field status string?  "error": the provider could not use it

---@return ftrun.File
function values.file(w)
  return { id = text(w.id), filename = text(w.filename), bytes = integer(w.bytes), purpose = text(w.purpose),
    created_at = integer(w.created_at), status = text(w.status) }
end

local function job_error(e)
  e = object(e)
  local code, message = text(e.code), text(e.message)
  if not code and not message then return nil end -- healthy jobs carry an empty one
  return { code = code, message = message or code, param = text(e.param),
    advice = errors.job_advice { code = code, message = message } }
end

local function hyperparameters(w)
  local method = object(w.method)
  local given = object(object(method[text(method.type) or "supervised"]).hyperparameters)
  local result = plain(w.hyperparameters)
  for k, v in pairs(plain(given)) do
    if result[k] == nil or result[k] == "auto" then result[k] = v end
  end
  return result
end

---@class ftrun.Job
---@field id string
---@field state "validating"|"queued"|"running"|"paused"|"succeeded"|"failed"|"cancelled"|"unknown"
---@field status string             as the provider says it
---@field base_model string?
---@field model string?             the tuned model, when there is one
---@field error { code: string?, message: string, param: string?, advice: string? }?
---@field result_files string[]
---@field metadata table<string, string>
---@field organization_id string?

---@return ftrun.Job
function values.job(w)
  local status = text(w.status) or "unknown"
  local files = {}
  for _, id in ipairs(object(w.result_files)) do files[#files + 1] = text(id) end
  return {
    id = text(w.id), state = states[status] or "unknown", status = status, base_model = text(w.model),
    model = text(w.fine_tuned_model), training_file = text(w.training_file),
    validation_file = text(w.validation_file), created_at = integer(w.created_at),
    finished_at = integer(w.finished_at), estimated_finish = integer(w.estimated_finish),
    trained_tokens = integer(w.trained_tokens), seed = integer(w.seed), hyperparameters = hyperparameters(w),
    error = job_error(w.error), result_files = files, metadata = plain(w.metadata),
    organization_id = text(w.organization_id),
  }
end

---@class ftrun.Event
---@field id string
---@field created_at integer?
---@field level "info"|"warn"|"error"|string
---@field kind "metrics"|"message"|string
---@field message string
---@field metrics table<string, number>?

---@return ftrun.Event
function values.event(w)
  local data = plain(w.data)
  local metrics = {}
  for k, v in pairs(data) do metrics[k] = number(v) end
  local kind = text(w.type) or "message"
  if kind == "message" and metrics.train_loss then kind = "metrics" end
  return { id = text(w.id), created_at = integer(w.created_at), level = text(w.level) or "info", kind = kind,
    message = text(w.message) or "", metrics = kind == "metrics" and metrics or nil }
end

---@class ftrun.Checkpoint
---@field id string
---@field model string?
---@field step integer?
---@field metrics table<string, number>
---@field created_at integer?

---@return ftrun.Checkpoint
function values.checkpoint(w)
  return { id = text(w.id), model = text(w.fine_tuned_model_checkpoint), step = integer(w.step_number),
    metrics = plain(w.metrics), created_at = integer(w.created_at) }
end

---@return { id: string, created_at: integer?, owned_by: string?, shutdown_date: string? }
function values.model(w)
  return { id = text(w.id), created_at = integer(w.created), owned_by = text(w.owned_by),
    shutdown_date = text(w.shutdown_date) }
end

---@class ftrun.Permission
---@field id string
---@field project string?
---@field created_at integer?

---@return ftrun.Permission
function values.permission(w)
  return { id = text(w.id), project = text(w.project_id), created_at = integer(w.created_at) }
end

---@class ftrun.Batch
---@field id string
---@field status "validating"|"failed"|"in_progress"|"finalizing"|"completed"|"expired"|"cancelling"|"cancelled"|string
---@field open boolean            it can still change
---@field counts { total: integer?, completed: integer?, failed: integer? }
---@field output_file string?
---@field error_file string?
---@field errors { code: string?, message: string?, line: integer? }[]

local open_batches = { validating = true, in_progress = true, finalizing = true, cancelling = true }

---@return ftrun.Batch
function values.batch(w)
  local faults = {}
  for i, e in ipairs(object(object(w.errors).data)) do
    faults[i] = { code = text(e.code), message = text(e.message), line = integer(e.line) }
  end
  local status = text(w.status) or "unknown"
  return { id = w.id, status = status, open = open_batches[status] or false, counts = plain(w.request_counts),
    input_file = text(w.input_file_id), output_file = text(w.output_file_id), error_file = text(w.error_file_id),
    created_at = integer(w.created_at), errors = faults, metadata = plain(w.metadata) }
end

---@class ftrun.Answer
---@field text string
---@field finish_reason string?
---@field usage { prompt_tokens: integer?, completion_tokens: integer?, total_tokens: integer? }
---@field model string?
---@field id string?
---@field refusal string?
---@field seconds number?   from the request to its whole answer, of the attempt that was answered

---@return ftrun.Answer
function values.answer(w)
  local choice = object(object(w.choices)[1])
  local message = object(choice.message)
  return { id = text(w.id), model = text(w.model), text = text(message.content) or "", refusal = text(message.refusal),
    finish_reason = text(choice.finish_reason), usage = values.usage(w.usage) }
end

return values
