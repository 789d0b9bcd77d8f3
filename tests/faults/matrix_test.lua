--- The fault matrix: in a whole run, each kind of request meets each kind of fault once. The run ends right, with one
--- job, one upload for each content, and each metric once.
local t = require "harness"
local http = require "ft.http"
local fs = require "ft.fs"
local task = require "ft.task"
local json = require "ftrun.json"
local kinds = require "faults.kinds"
local program = require "program"

-- What the server cannot play: a connection that is refused, or breaks before a byte has left. By port.
local unsent = {}
local real_request = http.request
package.loaded["ft.http"] = { escape = http.escape, request = function(method, url, options)
  local port, path = url:match "^http://127.0.0.1:(%d+)/v1([^?]*)"
  local fault = unsent[port]
  if fault and (method .. " " .. path):find(fault.pattern) then
    unsent[port] = nil
    return nil, "127.0.0.1: a fault on purpose", fault.code, false
  end
  return real_request(method, url, options)
end }
for _, name in ipairs { "wire", "openai", "uploads", "preflight", "init" } do
  package.loaded["ftrun.providers." .. name] = nil
end
package.loaded["ftrun.providers"] = nil
local providers = require "ftrun.providers"
local recipe = require "ftrun.recipe"
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"
local server = require "ftrun.local.server"
package.loaded["ft.http"] = http

--- Each run has its own folder of runs.
local roots, root = setmetatable({}, { __mode = "k" }), runs.root
runs.root = function() return roots[coroutine.running()] or root() end

local LONGEST_S = 0.6 -- no request of these runs takes longer

local requests = {
  { "the upload", "POST /files" },
  { "the creation", "POST /fine_tuning/jobs" },
  { "a question for the state", "GET /fine_tuning/jobs/*" },
  { "a question for events", "GET /fine_tuning/jobs/*/events" },
  { "a question for checkpoints", "GET /fine_tuning/jobs/*/checkpoints" },
  { "a look for the file", "GET /files" },
  { "the question for the model", "GET /models/*" },
  { "the result file", "GET /files/*/content" },
  { "the beginning of an upload in parts", "POST /uploads", parts = true },
  { "a part", "POST /uploads/*/parts", parts = true },
  { "the end of an upload in parts", "POST /uploads/*/complete", parts = true },
}

local faults = table.move(kinds, 1, #kinds, 3, {
  { "is refused", { code = "refused" } },
  { "breaks before it is sent", { code = "reset" } },
})

local function quiet_ui()
  return setmetatable({ confirm = function() return true end }, { __index = function() return function() end end })
end

local function check_once(dir, result)
  t.eq(result.state, "succeeded")
  local uploads, jobs = 0, 0
  for _, name in ipairs(fs.list(dir .. "/local/files")) do
    local file = name:match "%.json$" and json.decode(fs.read(dir .. "/local/files/" .. name))
    if file and file.purpose == "fine-tune" then uploads = uploads + 1 end
  end
  for _, name in ipairs(fs.list(dir .. "/local/jobs")) do if name:find "%.json$" then jobs = jobs + 1 end end
  t.eq({ uploads, jobs }, { 2, 1 }, "uploads, jobs")
  local steps = {}
  for line in fs.read(result.dir .. "/metrics.jsonl"):gmatch "[^\n]+" do steps[#steps + 1] = json.decode(line).step end
  t.eq(steps, { 1, 2, 3, 4 })
  t.eq(select(2, fs.read(result.dir .. "/result.csv"):gsub("\n", "")), 5, "lines of result.csv")
end

--- One whole run in which one request meets one fault.
---@param parts boolean  uploads go up in parts
local function suffer(dir, request, fault, parts)
  program.write_rows(dir, 20)
  local text = program.RECIPE:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 1, batch_size = 4")
  t.ok(fs.write(dir .. "/toy.lua", text))
  roots[coroutine.running()] = dir .. "/.ftrun"
  local played = { route = request }
  for k, v in pairs(fault) do played[k] = v end
  local running = server.start { dir = dir .. "/local", faults = { fault.kind and played } }
  if fault.code then
    local pattern = "^" .. request:gsub("[^%w*]", "%%%0"):gsub("%*", "[^/]*") .. "$"
    unsent[tostring(running.port)] = { pattern = pattern, code = fault.code }
  end
  local loaded = recipe.load(dir .. "/toy.lua")
  local _ <close> = setmetatable({}, { __close = function()
    loaded:close()
    running.close()
  end })
  local provider = providers.open { name = "local", base_url = running.url, auth_secret = false, longest_s = LONGEST_S,
    backoff_s = 0.01, file_bytes = parts and 500 or nil, part_bytes = parts and 500 or nil }
  check_once(dir, run.start { recipe = loaded, provider = provider, ui = quiet_ui() })
  t.eq(unsent[tostring(running.port)], nil, "the fault was not met")
end

-- The runs of one kind of request share the time that they wait.
for _, request in ipairs(requests) do
  local runs_of, folder = nil, nil
  for i, fault in ipairs(faults) do
    t.test(("%s %s"):format(request[1], fault[1]), function()
      if not runs_of then
        folder, runs_of = t.folder(), {}
        for k, other in ipairs(faults) do
          local dir = ("%s/%d"):format(folder.path, k)
          t.ok(fs.mkdir(dir))
          runs_of[k] = task.spawn(function() return pcall(suffer, dir, request[2], other[2], request.parts) end)
        end
      end
      local ok, e = runs_of[i]:join()
      if i == #faults then assert(fs.remove(folder.path, true)) end
      if not ok then error(e, 0) end
    end)
  end
end

t.test("an upload in parts that a start has left goes on in the next one, with the missing parts", function()
  local folder <close> = t.folder()
  local dir, requests_of = folder.path, {}
  program.write_rows(dir, 40)
  local source = program.RECIPE:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 1, batch_size = 8")
  t.ok(fs.write(dir .. "/toy.lua", source))
  roots[coroutine.running()] = dir .. "/.ftrun"
  local running = server.start { dir = dir .. "/local", faults = {
    { route = "POST /uploads/*/parts", kind = "refuse", status = 400, from = 3 } },
    on_log = function(text) requests_of[#requests_of + 1] = text end }
  local loaded = recipe.load(dir .. "/toy.lua")
  local _ <close> = setmetatable({}, { __close = function()
    loaded:close()
    running.close()
  end })
  local function start()
    local provider = providers.open { name = "local", base_url = running.url, auth_secret = false, file_bytes = 3000,
      part_bytes = 1000, backoff_s = 0.01 }
    return run.start { recipe = loaded, provider = provider, ui = quiet_ui() }
  end
  t.raises("HTTP 400", start)
  check_once(dir, start())
  local created, parts = 0, {}
  for _, text in ipairs(requests_of) do
    if text == "POST /v1/uploads 200" then created = created + 1 end
    local upload, status = text:match "^POST /v1/uploads/([^/]*)/parts (%d+)$"
    if status == "200" then parts[upload] = (parts[upload] or 0) + 1 end
  end
  local bytes = fs.stat(runs.dir(runs.list()[1].id) .. "/train.jsonl").bytes
  t.eq(created, 1)
  t.eq({ parts[next(parts)], next(parts, next(parts)) }, { (bytes + 999) // 1000 })
end)
