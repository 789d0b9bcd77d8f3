--- The routes below /files: POST and GET /files, GET and DELETE /files/{id}, GET /files/{id}/content.
local fs = require "ft.fs"
local dataset = require "ft.dataset"
local time = require "ft.time"
local err = require "ftrun.err"
local answer = require "ftrun.local.answer"
local Store = require "ftrun.local.store"

local M = {}

local purposes = { ["fine-tune"] = true, assistants = true, batch = true, vision = true, user_data = true,
                   evals = true }

local LEAST_LIFE_S, LONGEST_LIFE_S = 3600, 2592000

--- A file's record as the client sees it.
function M.public(record)
  return { object = "file", id = record.id, bytes = record.bytes, created_at = record.created_at,
           filename = record.filename, purpose = record.purpose, status = "processed", expires_at = record.expires_at }
end

local function is_alive(record)
  return not record.expires_at or record.expires_at > time.now()
end

--- A file by its id, or the refusal that OpenAI sends.
local function find(ctx, id)
  local record = ctx.store.files:get(id)
  if record and not is_alive(record) and not ctx.trainer:user_of(id) then
    ctx.store:remove_file(id)
    record = nil
  end
  return record or answer.refuse(404, "No such File object: " .. id, "id")
end

--- The seconds in { anchor = "created_at", seconds = n }; nil without one.
---@param value any
---@param name string?  of the parameter
---@return integer?
function M.expires_after(value, name)
  name = name or "expires_after"
  if value == nil then return nil end
  local seconds = type(value) == "table" and value.anchor == "created_at"
    and math.tointeger(tonumber(value.seconds))
  if not seconds or seconds < LEAST_LIFE_S or seconds > LONGEST_LIFE_S then
    answer.refuse(400, ("Invalid value for '%s': expected {anchor: 'created_at', seconds: %d to %d}."):format(name,
      LEAST_LIFE_S, LONGEST_LIFE_S), name, "invalid_value")
  end
  return seconds
end

--- A fine-tuning file must be JSONL: one object a line. Waits now and then, so that others get their turn.
local function check_lines(path)
  local reader, message = dataset.reader(path)
  if not reader then answer.refuse(400, "The file cannot be read: " .. message, "file", "invalid_file_format") end
  local _ <close> = setmetatable({}, { __close = function() reader:close() end })
  while true do
    local line, number, code = reader:next()
    if not line then
      if code then answer.refuse(400, "The file cannot be read: " .. number, "file", "invalid_file_format") end
      return
    end
    local ok, fault = dataset.check(line)
    if not ok or not line:find "^%s*{" then
      answer.refuse(400, ("Expected file to have JSONL format, where every line is a valid JSON object. Line %d: %s."):
        format(number, ok and "not an object" or fault), "file", "invalid_file_format")
    end
    if number % 100 == 0 then time.sleep(0) end
  end
end

local function is_jsonl(purpose) return purpose == "fine-tune" or purpose == "batch" end

--- Refuses a name that a file of this purpose cannot have.
function M.check_name(filename, purpose)
  if not utf8.len(filename) then answer.refuse(400, "The file's name is not UTF-8.", "file", "invalid_value") end
  if is_jsonl(purpose) and not filename:lower():find "%.jsonl$" then
    answer.refuse(400, ("Invalid extension of '%s'. Supported formats: \"jsonl\"."):format(filename), "file",
      "invalid_file_format")
  end
end

--- Refuses what a file of this purpose cannot hold.
function M.check_content(path, purpose)
  if is_jsonl(purpose) then check_lines(path) end
end

local function check_upload(request)
  local form = request.form
  if not form then answer.refuse(400, "Expected a multipart/form-data body with the parts 'purpose' and 'file'.") end
  local purpose, file = form.purpose, form.file
  if type(purpose) ~= "string" then
    answer.refuse(400, "Missing the part 'purpose'.", "purpose", "missing_parameter")
  end
  if not purposes[purpose] then
    local names = {}
    for name in pairs(purposes) do names[#names + 1] = "'" .. name .. "'" end
    table.sort(names)
    answer.refuse(400, ("'%s' is not one of %s."):format(purpose, table.concat(names, ", ")), "purpose",
      "invalid_value")
  end
  if type(file) ~= "table" then
    answer.refuse(400, "Missing the part 'file', with a file name.", "file", "missing_parameter")
  end
  if file.bytes == 0 then answer.refuse(400, "File is empty.", "file", "empty_file") end
  local filename = (file.filename or "upload"):match("[^/\\]*$")
  M.check_name(filename, purpose)
  M.check_content(file.path, purpose)
  local anchor, seconds = form["expires_after[anchor]"], form["expires_after[seconds]"]
  local life = (anchor or seconds) and { anchor = anchor, seconds = seconds } or nil
  return purpose, file, filename, M.expires_after(life)
end

--- Makes a file at `path` one of the account's, under its own id.
---@param o { id: string, path: string, filename: string, purpose: string, bytes: integer, expires_after: integer? }
---@return table record
function M.take(ctx, o)
  local record = { id = o.id, filename = o.filename, purpose = o.purpose, bytes = o.bytes,
                   created_at = math.floor(time.now()) }
  record.expires_at = o.expires_after and record.created_at + o.expires_after or nil
  err.check("system", fs.rename(o.path, ctx.store:content(o.id)))
  ctx.store:save("files", record)
  return record
end

function M.create(ctx, request)
  local purpose, file, filename, life = check_upload(request)
  return M.public(M.take(ctx, { id = Store.id("file-", 22), path = file.path, filename = filename, purpose = purpose,
                                bytes = file.bytes, expires_after = life }))
end

--- A file that the provider itself makes; a second call with the same id changes nothing.
function M.add(ctx, id, filename, purpose, content)
  if ctx.store.files:get(id) then return end
  err.check("system", fs.write(ctx.store:content(id), content))
  ctx.store:save("files", { id = id, filename = filename, purpose = purpose, bytes = #content,
                            created_at = math.floor(time.now()) })
end

function M.list(ctx, request)
  local query = request.query
  local paging = answer.paging(query, 10000, 10000)
  if query.order and query.order ~= "asc" and query.order ~= "desc" then
    answer.refuse(400, ("order is '%s'; expected 'asc' or 'desc'."):format(query.order), "order", "invalid_value")
  end
  paging.oldest_first = query.order == "asc"
  paging.accept = function(record)
    return is_alive(record) and (not query.purpose or record.purpose == query.purpose)
  end
  return answer.page(ctx.store.files, paging, M.public, "")
end

function M.get(ctx, _, id)
  return M.public(find(ctx, id))
end

function M.content(ctx, _, id)
  local record = find(ctx, id)
  return { status = 200, path = ctx.store:content(record.id),
           headers = { ["content-type"] = "application/octet-stream" } }
end

function M.delete(ctx, _, id)
  local record = find(ctx, id)
  local user = ctx.trainer:user_of(id)
  if user then
    answer.refuse(409, ("The job %s still needs this file. Cancel the job first."):format(user), "id", "file_in_use")
  end
  ctx.store:remove_file(record.id)
  return { id = id, object = "file", deleted = true }
end

return M
