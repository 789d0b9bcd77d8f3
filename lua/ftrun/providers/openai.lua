--- The OpenAI wire: files, fine-tuning jobs, models, chat. Canonical values go in and out; dialects differ by the rows
--- of the table in providers/init.lua.
local digest = require "ft.digest"
local fs = require "ft.fs"
local http = require "ft.http"
local err = require "ftrun.err"
local events = require "ftrun.providers.events"
local json = require "ftrun.json"
local preflight = require "ftrun.providers.preflight"
local questions = require "ftrun.providers.questions"
local Stream = require "ftrun.providers.stream"
local uploads = require "ftrun.providers.uploads"
local values = require "ftrun.providers.values"

local Provider = {}
Provider.__index = Provider

local JOBS = "/fine_tuning/jobs"
local RESULT_BYTES = 64 * 1024 * 1024
local UPLOAD_S, UPLOAD_STALL_S = 3600, 60
local CHAT_S = 180

---@class ftrun.Provider
---@field name string
---@field base_url string

--- A provider over a wire.
---@param name string
---@param dialect table   a row of providers/init.lua
---@param wire ftrun.Wire
---@param admin ft.http.Auth?  for what a usual key may not do
---@return ftrun.Provider
function Provider.new(name, dialect, wire, admin)
  return setmetatable({ name = name, title = dialect.title, base_url = wire.base_url, dialect = dialect, wire = wire,
    admin = admin },
    Provider)
end

local function job_path(id, rest)
  return JOBS .. "/" .. http.escape(id) .. (rest or "")
end

-- ---- models ----

--- Checks, before anything is uploaded, that the provider answers, accepts the key, has the model and takes the files.
---@param o { model: string, suffix: string?, files: { path: string, bytes: integer? }[]?, only_look: boolean? }
---@return ftrun.Preflight
function Provider:preflight(o) return preflight.check(self, o) end

--- Whether the organization may still train. In doubt it asks for a job that cannot be. Raises when it may not.
---@param model string
---@return string? warning  when it is likely that it may not
function Provider:may_train(model) return preflight.may_train(self, model) end

---@return { id: string, created_at: integer?, owned_by: string?, shutdown_date: string? }[]
function Provider:models()
  local list = {}
  for w in self.wire:each("/models", {}) do list[#list + 1] = values.model(w) end
  return list
end

---@param id string
---@return { id: string, created_at: integer?, owned_by: string?, shutdown_date: string? }
function Provider:model(id) return values.model(self.wire:call("GET", "/models/" .. http.escape(id))) end

-- ---- who may use a tuned model: OpenAI asks for an admin key ----

local function permissions_path(model, id)
  return ("/fine_tuning/checkpoints/%s/permissions%s"):format(http.escape(model), id and "/" .. http.escape(id) or "")
end

---@param model string  a tuned model or a checkpoint
---@return ftrun.Permission[]
function Provider:permissions(model)
  local list = {}
  for w in self.wire:each(permissions_path(model), { limit = 100, auth = self.admin }) do
    list[#list + 1] = values.permission(w)
  end
  return list
end

--- Lets projects use a model; those that may already keep the permission they have.
---@param model string
---@param projects string[]
---@return ftrun.Permission[]  one for each project, in their order
function Provider:permit(model, projects)
  local list, missing = {}, {}
  local function look()
    local there = {}
    for _, p in ipairs(self:permissions(model)) do there[p.project or ""] = p end
    list, missing = {}, {}
    for i, project in ipairs(projects) do
      list[i] = there[project]
      if not list[i] then missing[#missing + 1] = project end
    end
  end
  look()
  if #missing == 0 then return list end
  local ok, e = pcall(self.wire.call, self.wire, "POST", permissions_path(model), { creates = true, auth = self.admin,
    body = { project_ids = json.array(missing) } })
  if not ok and not (err.is(e) and e.sent) then error(e, 0) end
  look() -- the answer may be lost; what it was about is there or not
  if #missing > 0 then
    if not ok then error(e, 0) end
    self.wire:unnamed "permission"
  end
  return list
end

--- Deletes one thing. It is gone, too, when a repeated request is told that it is not there.
local function delete(self, path, auth)
  local ok, e = pcall(self.wire.call, self.wire, "DELETE", path, { auth = auth })
  if not ok and not (err.is(e) and e.status == 404) then error(e, 0) end
end

---@param model string
---@param id string  of a permission
function Provider:forbid(model, id) delete(self, permissions_path(model, id), self.admin) end

-- ---- files ----

local function too_large(self, o, bytes)
  err.raise("data", ("%s has %d bytes, %s takes %d at most"):format(o.path, bytes, self.title,
    self.dialect.upload_bytes), { advice = "Use fewer or shorter examples." })
end

--- Uploads a file, streamed from disk; one over the limit of a single request goes up in parts. After a failure with
--- `sent`, look with find_file before trying again.
---@param o { path: string, filename: string, purpose: string, on_progress: function?, state: ftrun.UploadState?,
---  on_state: (fun(state: ftrun.UploadState))? }  state: of an upload in parts that was interrupted; on_state: keep it
---@return ftrun.File
function Provider:put_file(o)
  local bytes, dialect = err.check("system", fs.stat(o.path)).bytes, self.dialect
  if bytes > dialect.upload_bytes then too_large(self, o, bytes) end
  if bytes > dialect.file_bytes then
    return uploads.send(self.wire, { path = o.path, filename = o.filename, purpose = o.purpose, bytes = bytes,
      part_bytes = dialect.part_bytes, state = o.state, on_state = o.on_state or function() end,
      on_progress = o.on_progress,
      find = function() return self:find_file { filename = o.filename, bytes = bytes, purpose = o.purpose } end })
  end
  local w = self.wire:make("file", "/files", { timeout_s = UPLOAD_S, stall_s = UPLOAD_STALL_S,
    on_progress = o.on_progress, parts = {
      { name = "purpose", value = o.purpose },
      { name = "file", path = o.path, filename = o.filename, content_type = "application/jsonl" },
    } })
  return values.file(w)
end

--- The newest usable file of this name and size.
---@param o { filename: string, bytes: integer, purpose: string? }
---@return ftrun.File?
function Provider:find_file(o)
  for w in self.wire:each("/files", { purpose = o.purpose or "fine-tune", order = "desc", limit = 1000 }) do
    local file = values.file(w)
    if file.filename == o.filename and file.bytes == o.bytes and file.status ~= "error" then return file end
  end
end

--- All files, newest first.
---@param purpose string?
---@return ftrun.File[]
function Provider:files(purpose)
  local list = {}
  for w in self.wire:each("/files", { purpose = purpose, order = "desc", limit = 1000 }) do
    list[#list + 1] = values.file(w)
  end
  return list
end

---@param id string
---@return ftrun.File
function Provider:file(id) return values.file(self.wire:call("GET", "/files/" .. http.escape(id))) end

---@param id string
function Provider:delete_file(id) delete(self, "/files/" .. http.escape(id)) end

---@param id string  of a tuned model
function Provider:delete_model(id) delete(self, "/models/" .. http.escape(id)) end

--- Fetches a file's content to a path.
---@param id string
---@param path string
function Provider:fetch_file(id, path)
  self.wire:send("GET", "/files/" .. http.escape(id) .. "/content", { output = path, timeout_s = UPLOAD_S,
    stall_s = UPLOAD_STALL_S, max_bytes = self.dialect.upload_bytes })
end

-- ---- jobs ----

local function set(t) return t and next(t) ~= nil and t or nil end

--- Creates a job. After a failure with `sent`, look with find before trying again.
---@param o { model: string, training_file: string, validation_file: string?, suffix: string?, seed: integer?,
---  method: string?, hyperparameters: table?, grader: table?, integrations: table[]?,
---  metadata: table<string, string>?, key: string? }  method: default supervised; key: goes along as Idempotency-Key,
---  which OpenAI's document does not mention, for gateways that make nothing twice
---@return ftrun.Job
function Provider:create(o)
  local most = self.dialect.suffix_characters
  if o.suffix and utf8.len(o.suffix) and utf8.len(o.suffix) > most then
    err.raise("recipe", ("suffix '%s' is longer than the %d characters that %s takes"):format(o.suffix, most,
      self.title))
  end
  local method = o.method or "supervised"
  return values.job(self.wire:make("job", JOBS, { key = o.key, body = {
    model = o.model, training_file = o.training_file, validation_file = o.validation_file, suffix = o.suffix,
    seed = o.seed, metadata = set(o.metadata), integrations = o.integrations,
    method = { type = method, [method] = { hyperparameters = set(o.hyperparameters), grader = o.grader } },
  } }))
end

local function filter(metadata)
  local query = {}
  for k, v in pairs(metadata or {}) do query["metadata[" .. k .. "]"] = v end
  return query
end

local function carries(job, metadata)
  for k, v in pairs(metadata or {}) do
    if job.metadata[k] ~= v then return false end
  end
  return true
end

--- The newest job that carries the metadata; also where the server does not know the filter.
---@param metadata table<string, string>
---@return ftrun.Job?
function Provider:find(metadata)
  local query = filter(metadata)
  query.limit = 100
  local newest
  for w in self.wire:each(JOBS, query) do
    local job = values.job(w)
    if carries(job, metadata) and (not newest or (job.created_at or 0) > (newest.created_at or 0)) then newest = job end
  end
  return newest
end

---@param job_id string
---@return ftrun.Job
function Provider:get(job_id)
  return values.job(self.wire:call("GET", job_path(job_id)))
end

--- One page of jobs, newest first.
---@param o { after: string?, limit: integer?, metadata: table<string, string>? }?
---@return ftrun.Job[]
---@return boolean has_more
function Provider:jobs(o)
  o = o or {}
  local query = filter(o.metadata)
  query.after, query.limit = o.after, o.limit or 20
  local page = self.wire:call("GET", JOBS, { query = query })
  local list = {}
  for _, w in ipairs(values.object(page.data)) do
    local job = values.job(w)
    if carries(job, o.metadata) then list[#list + 1] = job end
  end
  return list, page.has_more == true
end

--- Iterates over events that came after a known one, oldest first; see events.lua.
---@param job_id string
---@param known_id string?  the newest event that the caller has seen
---@return fun(): ftrun.Event?
function Provider:events(job_id, known_id)
  return events(self.wire, job_path(job_id, "/events"), known_id)
end

--- Checkpoints by step.
---@param job_id string
---@return ftrun.Checkpoint[]
function Provider:checkpoints(job_id)
  local list = {}
  for w in self.wire:each(job_path(job_id, "/checkpoints"), { limit = 100 }) do
    list[#list + 1] = values.checkpoint(w)
  end
  table.sort(list, function(a, b)
    if a.step ~= b.step then return (a.step or 0) < (b.step or 0) end
    return a.id < b.id
  end)
  return list
end

--- A result file's text: OpenAI sends it in base64, others plain. nil when it is no table with named columns.
local function steps_of(body)
  local text = body:find "[^A-Za-z0-9+/=%s]" and body or digest.unbase64(body)
  return text and text:find "^%s*[%w_]+," and text or nil
end

--- The table of steps that a finished job leaves behind.
---@param job ftrun.Job
---@return string? csv  nil when the job has none
function Provider:result(job)
  local id = job.result_files[1]
  if not id then return nil end
  local body = self.wire:send("GET", "/files/" .. http.escape(id) .. "/content", { max_bytes = RESULT_BYTES,
    reads = steps_of }).body
  return steps_of(body)
    or err.raise("provider", ("%s: the result file %s is no table of steps"):format(self.title, id))
end

--- Asks for a change of state. Where the answer to a first request was lost, the second is refused: then the job's
--- state tells whether it is what was wanted.
local function change(self, job_id, action, wanted)
  local ok, result = pcall(self.wire.call, self.wire, "POST", job_path(job_id, "/" .. action))
  if ok then return values.job(result) end
  if not (err.is(result) and (result.status == 400 or result.status == 409)) then error(result, 0) end
  local job = self:get(job_id)
  if not wanted[job.state] then error(result, 0) end
  return job
end

---@param job_id string
---@return ftrun.Job
function Provider:cancel(job_id) return change(self, job_id, "cancel", { cancelled = true }) end

---@param job_id string
---@return ftrun.Job
function Provider:pause(job_id) return change(self, job_id, "pause", { paused = true }) end

---@param job_id string
---@return ftrun.Job
function Provider:resume(job_id)
  return change(self, job_id, "resume", { validating = true, queued = true, running = true })
end

-- ---- chat ----

-- Streams of one question's answer, one after another when the one before broke off: what was shown is not shown again.
local function streams(self, on_text)
  local shown = 0
  return function()
    local at = 0
    return Stream.new(self.title, function(piece)
      local known = math.max(0, shown - at)
      at = at + #piece
      shown = math.max(shown, at)
      if known < #piece then on_text(piece:sub(known + 1)) end
    end)
  end
end

--- One answer of a model; with on_text, its text comes in pieces while the model writes.
---@param o { model: string, messages: { role: string, content: string }[], temperature: number?, max_tokens: integer?,
---  seed: integer?, tools: table?, response_format: table?, on_text: (fun(piece: string))?, pace: ftrun.Pace? }  pace:
---  of one among many requests, as ask/init.lua sends them
---@return ftrun.Answer
function Provider:chat(o)
  local body = questions.body(o)
  if not o.on_text then
    local value, response = self.wire:call("POST", "/chat/completions", { timeout_s = CHAT_S, body = body,
      pace = o.pace })
    local answer = values.answer(value)
    answer.seconds = response.seconds
    return answer
  end
  body.stream, body.stream_options = true, { include_usage = true }
  local fresh = streams(self, o.on_text)
  local stream = fresh()
  local response = self.wire:send("POST", "/chat/completions", { timeout_s = CHAT_S, body = body, pace = o.pace,
    on_data = function(piece) stream:add(piece) end,
    afresh = self.dialect.repeats and function() stream = fresh() end or nil })
  local answer = stream:finish()
  answer.seconds = response.seconds
  return answer
end

-- ---- batches of chat requests, at half the price and within a day ----

--- Starts a batch of an uploaded file of requests (purpose "batch"). After a failure with `sent`, look with find_batch
--- before trying again.
---@param o { input_file: string, metadata: table<string, string>? }
---@return ftrun.Batch
function Provider:create_batch(o)
  return values.batch(self.wire:call("POST", "/batches", { creates = true, body = { input_file_id = o.input_file,
    endpoint = "/v1/chat/completions", completion_window = "24h", metadata = set(o.metadata) } }))
end

---@param id string
---@return ftrun.Batch
function Provider:batch(id)
  return values.batch(self.wire:call("GET", "/batches/" .. http.escape(id)))
end

--- All batches, newest first.
---@return ftrun.Batch[]
function Provider:batches()
  local list = {}
  for w in self.wire:each("/batches", { limit = 100 }) do list[#list + 1] = values.batch(w) end
  return list
end

--- The newest batch that carries the metadata.
---@param metadata table<string, string>
---@return ftrun.Batch?
function Provider:find_batch(metadata)
  for w in self.wire:each("/batches", { limit = 100 }) do
    local batch = values.batch(w)
    if carries(batch, metadata) then return batch end
  end
end

---@param id string
---@return ftrun.Batch
function Provider:cancel_batch(id)
  local ok, result = pcall(self.wire.call, self.wire, "POST", "/batches/" .. http.escape(id) .. "/cancel")
  if ok then return values.batch(result) end
  if not (err.is(result) and (result.status == 400 or result.status == 409)) then error(result, 0) end
  local batch = self:batch(id)
  if batch.status ~= "cancelling" and batch.status ~= "cancelled" then error(result, 0) end
  return batch
end

return Provider
