--- One request on the OpenAI wire: headers, JSON, errors, retries, pages.
local address = require "ftrun.providers.address"
local http = require "ft.http"
local secrets = require "ft.secrets"
local err = require "ftrun.err"
local json = require "ftrun.json"
local retry = require "ftrun.retry"
local errors = require "ftrun.providers.errors"
local values = require "ftrun.providers.values"

local Wire = {}
Wire.__index = Wire

local SHOWN = 300       -- characters of a provider's message that fit into one clear line
local MOST_PAGES = 10000

---@class ftrun.Wire
---@field title string         name in messages
---@field base_url string      without the last slash
---@field auth ft.http.Auth?
---@field headers table<string, string>
---@field on_retry fun(text: string)?
---@field longest_s number     no request takes longer
---@field backoff_s number?    see retry.run
---@field locate (fun(gone: string, patient: boolean): string)?  where a server is that may have left an address

---@param o { title: string, base_url: string, auth: ft.http.Auth?, headers: table, on_retry: function?,
---  longest_s: number, backoff_s: number?, locate: function? }
---@return ftrun.Wire
function Wire.new(o)
  o.loopback = address.is_loopback(o.base_url)
  return setmetatable(o, Wire)
end

--- "?a=1&b=2", names in order; "" without any. Values that are false or nil are left out.
local function query_string(query)
  local parts = {}
  for name, value in pairs(query or {}) do
    if value then parts[#parts + 1] = http.escape(name) .. "=" .. http.escape(tostring(value)) end
  end
  table.sort(parts)
  return #parts > 0 and "?" .. table.concat(parts, "&") or ""
end

--- The `error` object of an answer, with only the fields that are texts; {} when it is none.
local function error_of(response)
  local body = json.decode(response.body)
  local e = values.object(values.object(body).error)
  return { code = values.text(e.code), type = values.text(e.type), param = values.text(e.param),
    message = values.text(e.message) or values.text(values.object(body).error) }
end

--- One line of readable length.
local function brief(text)
  text = text:gsub("%s+", " ")
  local cut = utf8.len(text) and utf8.len(text) > SHOWN and utf8.offset(text, SHOWN + 1)
  return cut and text:sub(1, cut - 1) .. "…" or text
end

function Wire:fail_transport(what, outcome)
  local kind, advice = errors.unanswered(outcome)
  err.raise(kind, ("%s: %s: %s"):format(self.title, what, outcome.message or outcome.code),
    { advice = advice, code = outcome.code, sent = outcome.sent == true })
end

function Wire:fail_answer(what, response)
  local e = error_of(response)
  local row = errors.find(response.status, e)
  local request_id = response.headers["x-request-id"]
  local facts = { "HTTP " .. response.status, e.code or e.type, e.param and "field " .. e.param,
    request_id and "request " .. request_id }
  local shown = {}
  for i = 1, 4 do shown[#shown + 1] = facts[i] or nil end
  err.raise(row.kind, ("%s: %s: %s (%s)%s"):format(self.title, what, row.meaning, table.concat(shown, ", "),
    e.message and ": " .. brief(e.message) or ""), {
    advice = row.advice, code = e.code or e.type, status = response.status, request_id = request_id,
    -- what the server turned away has created nothing; after its own fault nobody knows
    sent = response.status >= 500 or response.status == 408 or nil,
  })
end

---@class ftrun.Pace   for one of many requests
---@field turn (fun(): ftrun.Turn)?  waits until an attempt may be made; the turn ends by being closed
---@field patience_s (fun(outcome: ftrun.Outcome, usual: number): number)?  replaces retry.PATIENCE_S
---@field on_retry fun(text: string)?

local function is_readable(response, o)
  if o.json then return type(json.decode(response.body)) == "table" end
  return not o.reads or o.reads(response.body) ~= nil
end

--- Whether a request that got no answer at an address should try another one: the server has moved.
local function has_moved(self, from, code)
  if not self.locate or not (code == "refused" or code == "reset") then return false end
  -- a connection that breaks may do so for many reasons; where none is taken, nobody is there, or a new one soon
  if from == self.base_url then self.base_url = self.locate(from, code == "refused") end
  return from ~= self.base_url
end

--- Sends a request, again where that is allowed, and returns the answer of a success. Raises otherwise.
---@param method string
---@param path string  below the base URL, escaped
---@param o { query: table?, body: table?, parts: table?, creates: boolean?, timeout_s: number?, max_bytes: integer?,
---  on_progress: function?, stall_s: number?, output: string?, on_data: function?, afresh: function?, json: boolean?,
---  pace: ftrun.Pace?, auth: ft.http.Auth?, key: string?, reads: (fun(body: string): any)? }?  auth: instead of the
---  wire's own; key: the same for a repeated request; json: an answer that is none, and one of which reads makes nil,
---  is asked for again, for a short while; once on_data was called, the request is repeated only with afresh, which
---  hears that all begins again
---@return ft.http.Response
function Wire:send(method, path, o)
  o = o or {}
  local what, pace = method .. " " .. path, o.pace or {}
  local auth = o.auth or self.auth
  if auth and not secrets.origin(auth.secret) then
    err.raise("setting", ("%s: %s is not set"):format(self.title, auth.secret),
      { advice = ("Put %s=... into the environment or into .env, or use --local."):format(auth.secret) })
  end
  local headers = { accept = "application/json" }
  for name, value in pairs(self.headers) do headers[name] = value end
  headers["idempotency-key"] = o.key
  if o.body then headers["content-type"] = "application/json" end
  local options = { headers = headers, auth = auth, parts = o.parts, body = o.body and json.encode(o.body),
    timeout_s = math.min(o.timeout_s or 60, self.longest_s), stall_s = o.stall_s, max_bytes = o.max_bytes,
    on_progress = o.on_progress, output = o.output }
  local told = false
  if o.on_data then
    options.on_data = function(piece)
      told = true
      o.on_data(piece)
    end
  end
  if self.loopback then options.proxy = false end
  local rest = path .. query_string(o.query)
  local outcome = retry.run({
    what = self.title .. ": " .. what, creates = o.creates == true, on_retry = pace.on_retry or self.on_retry,
    backoff_s = self.backoff_s,
    patience_s = function(outcome)
      local usual = retry.PATIENCE_S[outcome.garbled and "garbled" or outcome.response and "answered"
        or self.loopback and "loopback" or self.reached and "known" or "new"]
      return pace.patience_s and pace.patience_s(outcome, usual) or usual
    end,
  }, function()
    local turn <close> = pace.turn and pace.turn()
    local response, message, code, sent, from
    repeat
      if told then
        o.afresh()
        told = false
      end
      from = self.base_url
      response, message, code, sent = http.request(method, from .. rest, options)
      local may = not response and (not o.creates or sent == false) and (not told or o.afresh)
    until not (may and has_moved(self, from, code))
    if response then self.reached = true end
    if turn then turn:answer(response) end
    local failed = response and response.status >= 400
    return { response = response, message = message, code = code, sent = sent, waited_s = turn and turn.waited_s,
      garbled = code == "too_large" and not o.output or response and not failed and not is_readable(response, o) or nil,
      final = told and not o.afresh or failed and errors.find(response.status, error_of(response)).reaction == "stop" }
  end)
  local response = outcome.response
  if not response then self:fail_transport(what, outcome) end
  if response.status < 200 or response.status > 299 then self:fail_answer(what, response) end
  return response
end

--- The same, with the answer's JSON object.
---@return table
---@return ft.http.Response
function Wire:call(method, path, o)
  o = o or {}
  o.json = true
  local response = self:send(method, path, o)
  local value, message = json.decode(response.body)
  if type(value) ~= "table" then
    local request_id = response.headers["x-request-id"]
    err.raise("provider", ("%s: %s %s: the answer is no JSON object (%s%s)"):format(self.title, method, path,
      message or "another value", request_id and ", request " .. request_id or ""),
      { sent = true, status = response.status, request_id = request_id,
        advice = "Check that the base URL is the API's, with its version (…/v1)." })
  end
  return value, response
end

--- Raises: an answer tells of something made, and does not name it.
---@param what string  "file"
function Wire:unnamed(what)
  err.raise("provider", ("%s: the answer names no %s"):format(self.title, what), { sent = true,
    advice = "Check that the base URL is the API's, with its version (…/v1)." })
end

--- A POST that creates something: what was made has an id; an answer without one leaves open whether anything was.
---@param what string  "file"
---@return table
function Wire:make(what, path, o)
  o.creates = true
  local value = self:call("POST", path, o)
  if not values.text(value.id) then self:unnamed(what) end
  return value
end

--- Iterates over the pages of a list: the objects of each, and what `after` was asked for.
---@param path string
---@param query table  with `limit`; `auth` is no part of it
---@return fun(): table[]?, string?
function Wire:pages(path, query)
  local more, pages, after = true, 0, query.after
  return function()
    if not more then return nil end
    local q = {}
    for k, v in pairs(query) do q[k] = v end
    q.auth, q.after = nil, after
    local page, items, asked = self:call("GET", path, { query = q, auth = query.auth }), {}, after
    pages = pages + 1
    for _, item in ipairs(values.object(page.data)) do
      if type(item) == "table" and values.text(item.id) then items[#items + 1] = item end
    end
    local last = values.text(page.last_id) or (items[#items] and items[#items].id)
    more = page.has_more == true and last ~= nil and last ~= after and pages < MOST_PAGES
    after = last
    return items, asked
  end
end

--- Iterates over the objects of a list, page after page.
---@param path string
---@param query table  with `limit`; `auth` is no part of it
---@return fun(): table?
function Wire:each(path, query)
  local next_page, items, at = self:pages(path, query), {}, 0
  return function()
    while items and at >= #items do items, at = next_page(), 0 end
    at = at + 1
    return items and items[at]
  end
end

return Wire
