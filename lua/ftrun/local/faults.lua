--- Faults on purpose, for tests of clients: which answer of which route goes wrong, and how. `ftrun serve` takes them
--- from the environment variable FTRUN_SERVE_FAULTS: a JSON list of ftrun.local.Fault.
local answer = require "ftrun.local.answer"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local time = require "ft.time"

local M = {}

---@class ftrun.local.Fault
---@field route string      "POST /fine_tuning/jobs": method and path below /v1; "*" stands for a part of the path
---@field kind "refuse"|"forget"|"lose"|"half"|"garble"|"flood"|"stall"|"slow"|"truncate"|"mumble"
---@field from integer?     the first request of this route that suffers, default 1
---@field count integer?    how many suffer, default 1
---@field status integer?   refuse, forget: the status, default 429 and 500
---@field headers table?    refuse: further headers ("retry-after")
---@field bytes integer?     flood: of the answer, default 10 GB
---@field seconds number?   stall: silence before the answer, default 1; slow: between two bytes, default 0.01
---@field before boolean?    lose, stall: the request is not even looked at

-- What OpenAI says with a status, where it says more than the status.
local CODES = { [401] = "invalid_api_key", [429] = "rate_limit_exceeded" }

local function failure(status, headers)
  local response = answer.error { status = status, headers = headers,
    error = { message = "a fault on purpose", type = answer.type_of(status), code = CODES[status] } }
  response.headers["x-request-id"] = "req_" .. digest.random_hex(16)
  return response
end

local function body_of(response)
  if response.path then return err.check("system", fs.read(response.path)) end
  if not response.chunks then return response.body end
  local pieces = {}
  for piece in response.chunks do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

local function half(response)
  local body, cut = body_of(response), false
  return { status = response.status, headers = response.headers, chunks = function()
    if cut then error("a fault on purpose: half an answer", 0) end
    cut = true
    return body:sub(1, #body // 2)
  end }
end

local function slow(response, seconds)
  local body, at = body_of(response), 0
  return { status = response.status, headers = response.headers, chunks = function()
    at = at + 1
    if at > #body then return nil end
    time.sleep(seconds)
    return body:sub(at, at)
  end }
end

--- A chat completion whose model says something else.
local function say(response, change)
  local body = json.decode(response.body or "")
  if response.status ~= 200 or type(body) ~= "table" then return response end
  for _, choice in ipairs(body.choices) do change(choice) end
  return { status = 200, headers = response.headers, body = json.encode(body) }
end

--- An answer that begins well and does not end.
local function flood(response, bytes)
  local piece, sent = body_of(response), 0
  return { status = response.status, headers = response.headers, chunks = function()
    if sent >= bytes then return nil end
    sent = sent + #piece
    local whole = piece
    piece = (" "):rep(256 * 1024)
    return whole
  end }
end

--- What each kind does with a request and the handler that would answer it.
local kinds = {
  refuse = function(fault) return failure(fault.status or 429, fault.headers) end,
  forget = function(fault, request, handler) -- the work is done, the answer says that it failed
    handler(request)
    return failure(fault.status or 500)
  end,
  lose = function(fault, request, handler) -- the work is done, the connection ends without an answer
    if not fault.before then handler(request) end
    return { status = 200, abort = true }
  end,
  half = function(_, request, handler) return half(handler(request)) end,
  garble = function(_, request, handler)
    local response = handler(request)
    return { status = response.status, headers = response.headers, body = '{"id": ' }
  end,
  flood = function(fault, request, handler)
    return flood(handler(request), fault.bytes or 10 * 1000 * 1000 * 1000)
  end,
  stall = function(fault, request, handler)
    local response = fault.before and failure(503) or handler(request)
    time.sleep(fault.seconds or 1)
    return response
  end,
  slow = function(fault, request, handler) return slow(handler(request), fault.seconds or 0.01) end,
  truncate = function(_, request, handler) -- a model that comes to the limit of length half-way
    return say(handler(request), function(choice)
      local text = choice.message.content
      choice.message.content = text:sub(1, utf8.offset(text, utf8.len(text) // 2 + 1) - 1)
      choice.finish_reason = "length"
    end)
  end,
  mumble = function(_, request, handler) -- a model that forgets what it was to answer with
    return say(handler(request), function(choice)
      choice.message.content = "Here is what I found: {" .. choice.message.content .. ","
    end)
  end,
}

--- The list of faults in a JSON text. Raises err "setting" when it is none.
---@param text string
---@return ftrun.local.Fault[]
function M.read(text)
  local list = json.decode(text)
  local good = type(list) == "table"
  for _, fault in ipairs(good and list or {}) do
    good = good and type(fault) == "table" and type(fault.route) == "string" and kinds[fault.kind] ~= nil
  end
  if not good or next(list) ~= nil and #list == 0 then
    err.raise("setting", 'the list of faults must be like [{"route": "GET /models", "kind": "refuse", "status": 429}]')
  end
  return list
end

--- The handler with the faults in front of it.
---@param handler fun(request: ft.server.Request): ft.server.Response
---@param list ftrun.local.Fault[]?
function M.wrap(handler, list)
  if not list or #list == 0 then return handler end
  local seen, patterns = {}, {}
  for i, fault in ipairs(list) do
    patterns[i] = "^" .. fault.route:gsub("[^%w*]", "%%%0"):gsub("%*", "[^/]*") .. "$"
  end
  return function(request)
    local name = request.method .. " " .. request.path:gsub("^/v1", "")
    local due
    for i, fault in ipairs(list) do
      if name:find(patterns[i]) then
        seen[i] = (seen[i] or 0) + 1
        local from = fault.from or 1
        if not due and seen[i] >= from and seen[i] < from + (fault.count or 1) then due = fault end
      end
    end
    if due then return kinds[due.kind](due, request, handler) end
    return handler(request)
  end
end

return M
