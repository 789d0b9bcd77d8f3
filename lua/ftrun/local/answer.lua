--- Answers in OpenAI's shapes: objects, lists and errors.
local json = require "ftrun.json"

local M = {}

---@class ftrun.local.Refusal   raised by a route; the server turns it into an error answer
---@field status integer
---@field error { message: string, type: string, param: string?, code: string? }
local Refusal = {}
Refusal.__index = Refusal

--- For the log, should one ever escape a route.
function Refusal:__tostring()
  return self.status .. " " .. self.error.message
end

local types = { [401] = "authentication_error", [403] = "permission_error", [429] = "rate_limit_error" }

--- The error's type that goes with a status.
---@param status integer
---@return string
function M.type_of(status)
  return types[status] or status >= 500 and "server_error" or "invalid_request_error"
end

--- Ends the request with an error.
---@param status integer
---@param message string  what is wrong, and what was expected
---@param param string?   the field of the request that is wrong
---@param code string?    a stable word for programs
---@param headers table?  further headers
function M.refuse(status, message, param, code, headers)
  if not utf8.len(message) then message = message:gsub("[\x80-\xff]", "?") end
  error(setmetatable({ status = status, headers = headers,
                       error = { message = message, type = M.type_of(status), param = param, code = code } }, Refusal))
end

--- Refuses the value of a field.
---@param param string
---@param value any
---@param expected string  "a text"
function M.invalid(param, value, expected)
  M.refuse(400, ("Invalid value for '%s': %s; expected %s."):format(param, json.encode(value), expected), param,
    "invalid_value")
end

---@return boolean
function M.is_refusal(e)
  return getmetatable(e) == Refusal
end

--- A server response out of a plain value.
---@param status integer
---@param value table
---@return ft.server.Response
function M.json(status, value)
  return { status = status, headers = { ["content-type"] = "application/json" }, body = json.encode(value) }
end

--- A server response out of a refusal. Every field is there, as in OpenAI's answers.
---@param e ftrun.local.Refusal
---@return ft.server.Response
function M.error(e)
  local response = M.json(e.status, { error = { message = e.error.message, type = e.error.type,
    param = e.error.param or json.null, code = e.error.code or json.null } })
  for k, v in pairs(e.headers or {}) do response.headers[k] = v end
  return response
end

--- The list shape. The API document has three kinds of lists: their first_id and last_id are, when the list is empty,
--- null or "", or the list never has them (false).
---@param items table[]  each with an id
---@param has_more boolean
---@param none any  json.null, "" or false
function M.list(items, has_more, none)
  local first, last = items[1], items[#items]
  local list = { object = "list", data = json.array(items), has_more = has_more }
  if none then list.first_id, list.last_id = first and first.id or none, last and last.id or none end
  return list
end

--- Reads the paging parameters of a list request.
---@param query table<string, string>
---@param default integer  items on a page when `limit` is missing
---@param largest integer
---@return { after: string?, limit: integer }
function M.paging(query, default, largest)
  local limit = default
  if query.limit then
    limit = math.tointeger(tonumber(query.limit))
    if not limit or limit < 1 or limit > largest then
      M.refuse(400, ("limit is '%s'; expected an integer from 1 to %d."):format(query.limit, largest), "limit",
        "invalid_value")
    end
  end
  return { after = query.after ~= "" and query.after or nil, limit = limit }
end

--- One page of an index as a list answer.
---@param index table  ftrun.local.index
---@param paging table  what M.paging returned, with further fields of Index:page
---@param public (fun(item: table): table)?  an item as the client sees it
---@param none any  see M.list
function M.page(index, paging, public, none)
  local items, has_more = index:page(paging)
  if not items then
    M.refuse(400, ("after is '%s', which is no object of this list."):format(paging.after), "after", "invalid_value")
  end
  local data = {}
  for i, item in ipairs(items) do data[i] = public and public(item) or item end
  return M.list(data, has_more, none)
end

--- The JSON object in a request's body.
---@param request ft.server.Request
---@return table
function M.body(request)
  local body, fault = json.decode(request.body or "")
  if type(body) ~= "table" then
    M.refuse(400, ("We could not parse the JSON body of your request: %s."):format(fault or "expected an object"),
      nil, "invalid_json")
  end
  return body
end

--- The metadata in a body: at most 16 pairs of short texts.
---@param body table
---@return table<string, string>?
function M.metadata(body)
  local metadata = body.metadata
  if metadata == nil then return nil end
  if type(metadata) ~= "table" or #metadata > 0 then M.invalid("metadata", metadata, "an object of texts") end
  local n = 0
  for key, value in pairs(metadata) do
    n = n + 1
    local path = "metadata." .. key
    if utf8.len(key) > 64 then M.invalid(path, key, "a key of at most 64 characters") end
    if type(value) ~= "string" then M.invalid(path, value, "a text") end
    if utf8.len(value) > 512 then M.invalid(path, "...", "a text of at most 512 characters") end
  end
  if n > 16 then
    M.refuse(400, ("Invalid 'metadata': %d pairs; expected at most 16."):format(n), "metadata", "invalid_value")
  end
  return metadata
end

return M
