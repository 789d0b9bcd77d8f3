--- The local provider as an HTTP server: OpenAI's routes on a loopback port. It never is the model whose name it is
--- asked for; every answer says so in the header x-ftrun-local.
local digest = require "ft.digest"
local fs = require "ft.fs"
local server = require "ft.server"
local log = require "ft.log"
local time = require "ft.time"
local err = require "ftrun.err"
local answer = require "ftrun.local.answer"
local batches = require "ftrun.local.batches"
local chat = require "ftrun.local.chat"
local faults = require "ftrun.local.faults"
local files = require "ftrun.local.files"
local jobs = require "ftrun.local.jobs"
local models = require "ftrun.local.models"
local permissions = require "ftrun.local.permissions"
local Store = require "ftrun.local.store"
local Trainer = require "ftrun.local.trainer"
local uploads = require "ftrun.local.uploads"

local M = {}

local NOTICE = "ftrun's local learner, not the named model"

--- Path below /v1 (each ":" stands for one segment, handed to the route) and its methods.
local routes = {
  { "files", GET = files.list, POST = files.create },
  { "files/:", GET = files.get, DELETE = files.delete },
  { "files/:/content", GET = files.content },
  { "fine_tuning/jobs", GET = jobs.list, POST = jobs.create },
  { "fine_tuning/jobs/:", GET = jobs.get },
  { "fine_tuning/jobs/:/events", GET = jobs.events },
  { "fine_tuning/jobs/:/checkpoints", GET = jobs.checkpoints },
  { "fine_tuning/jobs/:/cancel", POST = jobs.cancel },
  { "fine_tuning/jobs/:/pause", POST = jobs.pause },
  { "fine_tuning/jobs/:/resume", POST = jobs.resume },
  { "fine_tuning/checkpoints/:/permissions", GET = permissions.list, POST = permissions.create },
  { "fine_tuning/checkpoints/:/permissions/:", DELETE = permissions.delete },
  { "uploads", POST = uploads.create },
  { "uploads/:/parts", POST = uploads.part },
  { "uploads/:/complete", POST = uploads.complete },
  { "uploads/:/cancel", POST = uploads.cancel },
  { "batches", GET = batches.list, POST = batches.create },
  { "batches/:", GET = batches.get },
  { "batches/:/cancel", POST = batches.cancel },
  { "models", GET = models.list },
  { "models/:", GET = models.get, DELETE = models.delete },
  { "chat/completions", POST = chat.create },
}

for _, route in ipairs(routes) do
  route.pattern = "^/v1/" .. route[1]:gsub("[%-.]", "%%%0"):gsub(":", "([^/]+)") .. "/?$"
end

local function find_route(request)
  for _, route in ipairs(routes) do
    local id, second = request.path:match(route.pattern)
    if id then
      if route[request.method] then return route[request.method], id, second end
      local names = {}
      for _, name in ipairs { "DELETE", "GET", "POST" } do if route[name] then names[#names + 1] = name end end
      local allowed = table.concat(names, ", ")
      answer.refuse(405, ("Not allowed to %s on %s; allowed: %s."):format(request.method, request.path, allowed), nil,
        "method_not_supported", { allow = allowed })
    end
  end
  answer.refuse(404, ("Invalid URL (%s %s)."):format(request.method, request.path), nil, "unknown_url")
end

local function is_loopback(authority)
  local host = authority:gsub("^%w+://", ""):gsub(":%d+$", "")
  return host == "localhost" or host == "[::1]" or host:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- Any bearer is good on loopback, so a web page in the user's browser must not get through: its requests carry a
--- foreign Origin, or a foreign Host when its name was rebound to this machine.
local function guard(request)
  local host, origin = request.headers.host, request.headers.origin
  if host and not is_loopback(host) or origin and not is_loopback(origin) then
    answer.refuse(403, "This server answers only programs on this machine.", nil, "foreign_origin")
  end
end

local function respond(ctx, request)
  guard(request)
  if request.too_large then
    answer.refuse(413, "The request body is too large; at most 512 MB in a file, 64 MB in JSON.", nil,
      "request_too_large")
  end
  if request.unstored then
    answer.refuse(500, ("The upload cannot be stored on this machine: %s. Make room below FTRUN_DIR, or put it "
      .. "elsewhere."):format(request.unstored), "file", "storage_failed", { ["x-should-retry"] = "false" })
  end
  if request.malformed then answer.refuse(400, "The multipart/form-data body cannot be read.", nil, "invalid_form") end
  local route, id, second = find_route(request)
  local value = route(ctx, request, id, second)
  return math.type(value.status) and value or answer.json(200, value) -- a job has a status too, a text
end

--- What went wrong in a route, as an answer.
local function excuse(e)
  if answer.is_refusal(e) then return answer.error(e) end
  local message = tostring(e)
  log.error("local provider: " .. message)
  if not err.is(e) then message = "internal error, please report it: " .. message end
  -- asking again makes no room on a disk
  return (answer.error { status = 500, error = { message = message, type = "server_error" },
    headers = { ["x-should-retry"] = err.is(e) and "false" or nil } })
end

local function handler(ctx, on_log)
  return function(request)
    local began = time.monotonic()
    local ok, response = pcall(respond, ctx, request)
    if not ok then response = excuse(response) end
    local headers = response.headers
    headers["x-request-id"] = "req_" .. digest.random_hex(16)
    headers["openai-version"] = "2020-10-01"
    headers["openai-organization"] = models.OWNER
    headers["openai-processing-ms"] = ("%d"):format((time.monotonic() - began) * 1000 // 1)
    headers["x-ftrun-local"] = NOTICE
    if on_log then on_log(("%s %s %d"):format(request.method, request.path, response.status)) end
    return response
  end
end

local PLACE = "The local provider keeps its files and jobs there: make room and the folder writable, or name another "
  .. "one with FTRUN_DIR."

local LATE = answer.error { status = 408, error = { type = answer.type_of(408), code = "request_timeout",
  message = "The request body came too slowly; expected are at least 320 KiB, or its end, in every 20 seconds." } }.body

local function listen(options, handle)
  local port = options.port or 0
  local made, why, reason = fs.mkdir(options.dir .. "/spool")
  if not made then err.raise("system", why, { code = reason, advice = PLACE }) end
  local listener, message, code = server.listen { host = options.host, port = port, handler = handle,
                                                  spool = options.dir .. "/spool", late_body = LATE }
  if listener then return listener end
  if code ~= "in_use" then err.raise("system", message, { code = code }) end
  err.raise("busy", message, { code = code, advice = "choose another port, or 0 for a free one" })
end

--- Starts the local provider. Raises err "busy" when another process holds the folder (`holder`: its url) or the port.
---@param options { dir: string, port: integer?, host: string?, on_log: fun(text: string)?, faults: table? }
---@return { url: string, port: integer, close: fun() } running  close is idempotent
function M.start(options)
  local ctx = { open = {}, made = {}, completing = {}, batches = {} }
  -- The port first, so that the lock can say where its holder is; no request is answered before this function ends.
  local listener = listen(options, faults.wrap(handler(ctx, options.on_log), options.faults))
  local host = options.host or "127.0.0.1"
  local url = ("http://%s:%d/v1"):format(host:find ":" and "[" .. host .. "]" or host, listener:port())
  local ok, store = pcall(Store.open, options.dir, url)
  if not ok then
    listener:close()
    if err.is(store) and store.kind == "system" then store.advice = store.advice or PLACE end
    error(store, 0)
  end
  ctx.store = store
  for _, record in ipairs(store.jobs:page { limit = math.huge }) do ctx.made[record.model] = record.id end
  ctx.trainer = Trainer.new(ctx)
  ctx.trainer:continue()
  batches.continue(ctx)
  local closed = false
  return {
    url = url,
    port = listener:port(),
    close = function()
      if closed then return end
      closed = true
      listener:close()
      ctx.trainer:close()
      batches.close(ctx)
      store:close()
    end,
  }
end

return M
