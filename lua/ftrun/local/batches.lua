--- The routes below /batches, and the worker that answers their requests, one batch after another, one request a turn
--- of the loop. A batch that a restart cut off goes on with the requests that have no answer yet; its output files
--- appear only when it ends.
local dataset = require "ft.dataset"
local fs = require "ft.fs"
local log = require "ft.log"
local task = require "ft.task"
local time = require "ft.time"
local json = require "ftrun.json"
local err = require "ftrun.err"
local lines = require "ftrun.local.lines"
local answer = require "ftrun.local.answer"
local chat = require "ftrun.local.chat"
local files = require "ftrun.local.files"
local Store = require "ftrun.local.store"

local M = {}

local ENDPOINT = "/v1/chat/completions"
local LIFE_S = 24 * 3600
local MOST_REQUESTS, MOST_FAULTS = 50000, 100

local open = { validating = true, in_progress = true, finalizing = true, cancelling = true }

local fields = { "id", "endpoint", "model", "errors", "input_file_id", "completion_window", "status", "created_at",
                 "in_progress_at", "expires_at", "finalizing_at", "completed_at", "failed_at", "cancelling_at",
                 "cancelled_at", "request_counts", "output_file_id", "error_file_id" }

local function public(record)
  local shown = { object = "batch", metadata = record.metadata or json.null }
  for _, name in ipairs(fields) do shown[name] = record[name] end
  return shown
end

local function find(ctx, id)
  return ctx.store.batches:get(id) or answer.refuse(404, "No such Batch object: " .. id, "batch_id")
end

local function enter(ctx, record, status)
  record.status, record[status .. "_at"] = status, math.floor(time.now())
  ctx.store:save("batches", record)
end

-- ---- one line ----

--- The request of a line, or the words of what is wrong with it: code, message, param.
local function request_of(line, seen)
  local r = json.decode(line)
  if type(r) ~= "table" then return nil, "invalid_json_line", "This line is not a JSON object." end
  if type(r.custom_id) ~= "string" or r.custom_id == "" then
    return nil, "missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id"
  elseif seen and seen[r.custom_id] then
    return nil, "duplicate_custom_id", ("The custom_id '%s' was used before."):format(r.custom_id), "custom_id"
  elseif r.method ~= "POST" then
    return nil, "invalid_method", "Invalid value for 'method': expected 'POST'.", "method"
  elseif r.url ~= ENDPOINT then
    return nil, "invalid_url", "Invalid value for 'url': expected the endpoint of the batch.", "url"
  elseif type(r.body) ~= "table" then
    return nil, "missing_required_parameter", "Missing required parameter: 'body'.", "body"
  end
  return r
end

--- Calls fn(line, number) for each line that is not blank; gives other tasks a turn after each hundred.
local function each_line(path, fn)
  local reader <close> = setmetatable({ file = err.check("system", dataset.reader(path)) },
    { __close = function(r) r.file:close() end })
  while true do
    local line, number, code = reader.file:next()
    if not line then
      if code then err.raise("data", number, { code = code }) end
      return
    end
    if line:find "%S" and fn(line, number) then return end
    if number % 100 == 0 then time.sleep(0) end
  end
end

-- ---- the worker ----

--- Counts the requests; a list of faults when there are any.
local function validate(ctx, record)
  local seen, faults, n = {}, {}, 0
  local function fault(line, code, message, param)
    faults[#faults + 1] = { code = code, message = message, param = param or json.null, line = line or json.null }
    return #faults >= MOST_FAULTS
  end
  each_line(ctx.store:content(record.input_file_id), function(line, number)
    local r, code, message, param = request_of(line, seen)
    if not r then return fault(number, code, message, param) end
    seen[r.custom_id], n = true, n + 1
    record.model = record.model or type(r.body.model) == "string" and r.body.model or nil
    if r.body.model ~= record.model then
      return fault(number, "mismatched_model", "All requests of a batch must be for one model.", "body.model")
    end
  end)
  if n == 0 and #faults == 0 then fault(nil, "empty_file", "The input file has no requests.") end
  if n > MOST_REQUESTS then
    fault(nil, "too_many_requests", ("The input file has %d requests; at most %d are taken."):format(n, MOST_REQUESTS))
  end
  record.request_counts.total = n
  return faults
end

--- The answer to one request, as a line of the output: its text, and whether it succeeded.
local function respond(ctx, r)
  local ok, value = pcall(chat.complete, ctx, r.body)
  local status = 200
  if not ok then
    if not answer.is_refusal(value) and not err.is(value) then log.error("batch: " .. tostring(value)) end
    status = answer.is_refusal(value) and value.status or 500
    value = answer.is_refusal(value) and json.decode(answer.error(value).body)
      or { error = { message = tostring(value), type = "server_error", param = json.null, code = json.null } }
  end
  return json.encode { id = Store.id("batch_req_", 24), custom_id = r.custom_id, error = json.null, response = {
    status_code = status, request_id = Store.id("req_", 24), body = value } } .. "\n", ok
end

local function work_path(ctx, record, kind)
  return ("%s/batches/%s.%s"):format(ctx.store.dir, record.id, kind)
end

--- Where the answers are: a kill may have come in the middle of making them files of the account.
local function answers_path(ctx, record, kind)
  local published = ctx.store:content(record.reserved[kind])
  return fs.stat(published) and published or work_path(ctx, record, kind)
end

--- The custom_ids that were answered before a restart, counted. The record's counts change only when all have been
--- read: who asks meanwhile must not see them fall.
local function answered(ctx, record)
  local done, counts = {}, { completed = 0, failed = 0 }
  for kind, counted in pairs { output = "completed", error = "failed" } do
    lines.take_up(answers_path(ctx, record, kind), function(line)
      local ids = dataset.pick(line, { "custom_id" })
      if not ids or not ids[1] then return false end
      done[ids[1]], counts[counted] = true, counts[counted] + 1
    end)
  end
  record.request_counts.completed, record.request_counts.failed = counts.completed, counts.failed
  return done
end

local function answer_all(ctx, record)
  local done, out, counts = answered(ctx, record), {}, record.request_counts
  for _, kind in ipairs { "output", "error" } do
    out[kind] = err.check("system", fs.append(work_path(ctx, record, kind)))
  end
  local _ <close> = setmetatable({}, { __close = function()
    out.output:close()
    out.error:close()
  end })
  each_line(ctx.store:content(record.input_file_id), function(line)
    local r = request_of(line)
    if done[r.custom_id] then return end
    local text, ok = respond(ctx, r)
    err.check("system", out[ok and "output" or "error"]:write(text))
    local counted = ok and "completed" or "failed"
    counts[counted] = counts[counted] + 1
    time.sleep(0)
    return record.status ~= "in_progress"
  end)
end

--- The files become the account's, under ids that were reserved: a second time changes nothing.
local function publish(ctx, record)
  for kind, count in pairs { output = record.request_counts.completed, error = record.request_counts.failed } do
    local path, id = answers_path(ctx, record, kind), record.reserved[kind]
    if count > 0 then
      if not ctx.store.files:get(id) then
        files.take(ctx, { id = id, path = path, filename = ("%s_%s.jsonl"):format(record.id, kind),
                          purpose = "batch_output", bytes = err.check("system", fs.stat(path)).bytes,
                          expires_after = record.output_expires_after })
      end
      record[kind .. "_file_id"] = id
    end
    Store.discard(work_path(ctx, record, kind))
  end
end

local function run(ctx, record)
  if record.status == "cancelling" then
    answered(ctx, record)
    publish(ctx, record)
    return enter(ctx, record, "cancelled")
  end
  if record.status == "finalizing" then record.status = "in_progress" end -- nobody knows how far it came
  local faults = validate(ctx, record)
  if #faults > 0 then
    record.errors = { object = "list", data = json.array(faults) }
    return enter(ctx, record, "failed")
  end
  if record.status == "validating" then enter(ctx, record, "in_progress") end
  if record.status == "in_progress" then answer_all(ctx, record) end
  if record.status == "in_progress" then enter(ctx, record, "finalizing") end
  publish(ctx, record)
  enter(ctx, record, record.status == "cancelling" and "cancelled" or "completed")
end

local function work(ctx, queue)
  while queue[1] do
    local record = table.remove(queue, 1)
    local ok, e = pcall(run, ctx, record)
    if not ok then
      log.error(("batch %s failed: %s"):format(record.id, tostring(e)))
      record.errors = { object = "list", data = json.array { { code = "server_error", message = tostring(e),
                                                               param = json.null, line = json.null } } }
      pcall(enter, ctx, record, "failed")
    end
  end
  queue.worker = nil
end

local function take(ctx, record)
  local queue = ctx.batches
  queue[#queue + 1] = record
  if not queue.worker then queue.worker = task.spawn(work, ctx, queue) end
end

--- Goes on with what the last process left.
function M.continue(ctx)
  local left = ctx.store.batches:page { limit = math.huge, oldest_first = true,
    accept = function(record) return open[record.status] end }
  for _, record in ipairs(left) do take(ctx, record) end
end

function M.close(ctx)
  if ctx.batches.worker then ctx.batches.worker:cancel() end
end

-- ---- routes ----

local function required(body, name, expected)
  if type(body[name]) ~= "string" or body[name] == "" then
    answer.refuse(400, ("Missing required parameter: '%s'; expected %s."):format(name, expected), name,
      "missing_required_parameter")
  end
  return body[name]
end

function M.create(ctx, request)
  local body = answer.body(request)
  local input = required(body, "input_file_id", "the id of a file")
  local endpoint = required(body, "endpoint", "'" .. ENDPOINT .. "'")
  local window = required(body, "completion_window", "'24h'")
  if endpoint ~= ENDPOINT then
    answer.refuse(400, ("Invalid value for 'endpoint': the local provider runs only '%s'."):format(ENDPOINT),
      "endpoint", "invalid_value")
  elseif window ~= "24h" then
    answer.refuse(400, "Invalid value for 'completion_window': expected '24h'.", "completion_window", "invalid_value")
  end
  local file = ctx.store.files:get(input)
  if not file or file.purpose ~= "batch" then
    answer.refuse(400, ("Invalid 'input_file_id': %s."):format(file
      and ("the file has the purpose '%s'; expected 'batch'"):format(file.purpose) or "no such file"), "input_file_id",
      "invalid_value")
  end
  local record = { id = Store.id("batch_", 24), created_at = math.floor(time.now()), status = "validating",
    endpoint = endpoint, completion_window = window, input_file_id = input, metadata = answer.metadata(body),
    output_expires_after = files.expires_after(body.output_expires_after, "output_expires_after"),
    request_counts = { total = 0, completed = 0, failed = 0 },
    reserved = { output = Store.id("file-", 22), error = Store.id("file-", 22) } }
  record.expires_at = record.created_at + LIFE_S
  ctx.store:save("batches", record)
  take(ctx, record)
  return public(record)
end

function M.list(ctx, request)
  local page = answer.page(ctx.store.batches, answer.paging(request.query, 20, 100), public, "")
  if not page.data[1] then page.first_id, page.last_id = nil, nil end
  return page
end

function M.get(ctx, _, id)
  return public(find(ctx, id))
end

function M.cancel(ctx, _, id)
  local record = find(ctx, id)
  if record.status == "cancelling" then return public(record) end
  if record.status ~= "validating" and record.status ~= "in_progress" then
    answer.refuse(409, ("The batch %s is %s and cannot be cancelled."):format(id, record.status), "batch_id",
      "invalid_batch_state")
  end
  enter(ctx, record, "cancelling")
  return public(record)
end

return M
