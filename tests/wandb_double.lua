--- What W&B's server does with a run, as far as a client can see: for tests in one process. The real SDK is shown a
--- fuller one in tests/interop.
local digest = require "ft.digest"
local json = require "ftrun.json"
local server = require "ft.server"

local double = {}

--- The double's key, as a line of .env.
double.KEY = "local-" .. ("0123456789abcdef"):rep(3)

local Double = {}
Double.__index = Double

local operations = {}

function operations.UpsertBucket(self, v)
  self.config = v.config and json.decode(v.config) or self.config
  for name, value in pairs(v) do self.run[name] = value end
  return { upsertBucket = { inserted = true, bucket = { id = "B1", name = v.name, displayName = v.displayName or "x",
    historyLineCount = #self:lines "wandb-history.jsonl",
    project = { id = "P", name = v.project or "uncategorized", entity = { id = "E", name = v.entity or "team" } } } } }
end

function operations.CreateRunFiles(self, v)
  local files = json.array {}
  for i, name in ipairs(v.files) do files[i] = { name = name, uploadUrl = self.url .. "/storage/run/" .. name } end
  return { createRunFiles = { runID = "R", uploadHeaders = json.array { "X-Store: a:b" }, files = files } }
end

function operations.CreateArtifact(self, v)
  self.artifact = v.input
  return { createArtifact = { artifact = { id = "A1", state = self.committed and "COMMITTED" or "PENDING" } } }
end

function operations.CreateArtifactManifest(self, v)
  self.manifest_digest = v.digest
  return { createArtifactManifest = { artifactManifest = { id = "M1",
    file = { id = "F", uploadUrl = self.url .. "/storage/manifest", uploadHeaders = json.array {} } } } }
end

function operations.CreateArtifactFiles(self, v)
  local edges = json.array {}
  for i, spec in ipairs(v.artifactFiles) do
    edges[i] = { node = { name = spec.name, uploadUrl = self.url .. "/storage/artifact/" .. spec.name,
      uploadHeaders = json.array {}, artifact = { id = "A1" } } }
  end
  return { createArtifactFiles = { files = { edges = edges } } }
end

function operations.CommitArtifact(self)
  self.committed = true
  return { commitArtifact = { artifact = { id = "A1", digest = "d" } } }
end

function operations.UseArtifact(self)
  self.used = true
  return { useArtifact = { artifact = { id = "A1" } } }
end

--- The lines of a stream, in order; raises where one is missing.
function Double:lines(name)
  local list = {}
  for number in pairs(self.streams[name] or {}) do list[#list + 1] = number end
  table.sort(list)
  for i, number in ipairs(list) do
    assert(number == i - 1, ("%s: line %d is missing"):format(name, i - 1))
    list[i] = self.streams[name][number]
  end
  return list
end

function Double:take(body)
  self.posts = self.posts + 1
  for name, chunk in pairs(body.files or {}) do
    self.streams[name] = self.streams[name] or {}
    for i, line in ipairs(chunk.content) do
      local number, before = chunk.offset + i - 1, self.streams[name][chunk.offset + i - 1]
      if name ~= "wandb-summary.json" and before then
        self.repeated = self.repeated + 1
        assert(before == line, ("%s: line %d comes again and is another"):format(name, number))
      end
      self.streams[name][number] = line
    end
  end
  for _, name in ipairs(body.uploaded or {}) do self.uploaded[#self.uploaded + 1] = name end
  if body.complete then self.exit = body.exitcode end
  return { exitcode = json.null, limits = {}, stopped = self.stop }
end

function Double:answer(r)
  if r.path:find "^/storage/" then
    self.store[r.path:sub(#"/storage/" + 1)] = { bytes = r.body, headers = r.headers }
    return {}
  end
  if r.headers.authorization ~= "Basic " .. digest.base64("api:" .. double.KEY) then
    return { errors = json.array { { message = "wrong key" } } }, 401
  end
  local body = json.decode(r.body)
  if r.path:find "/file_stream$" then return self:take(body) end
  self.asked[#self.asked + 1] = body.operationName
  return { data = operations[body.operationName](self, body.variables) }
end

--- Listens, again on the same port.
function Double:up()
  self.server = assert(server.listen { port = self.port, handler = function(r)
    self.count = self.count + 1
    local fault = self.fault and self.fault(self.count, r)
    local response = fault and { status = fault.status or 200, headers = fault.headers, body = fault.body,
      abort = fault.abort }
    if fault and fault.before then return response end
    local body, status = self:answer(r)
    return response or { status = status or 200, headers = { ["Content-Type"] = "application/json" },
      body = json.encode(body) }
  end })
  self.port = self.server:port()
  self.url = "http://127.0.0.1:" .. self.port
end

--- Refuses connections.
function Double:down()
  self.server:close()
end

Double.__close = Double.down

--- `fault(n, request)` may answer a response instead of the n-th one; with `before`, the request is not carried out.
function double.open(fault)
  local self = setmetatable({ fault = fault, run = {}, streams = {}, store = {}, uploaded = {}, asked = {}, posts = 0,
    repeated = 0, count = 0 }, Double)
  self:up()
  return self
end

return double
