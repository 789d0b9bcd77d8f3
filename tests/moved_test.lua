--- Commands that use the local provider of another process, which ends in the middle: they serve the folder themselves
--- and go on, with the same result as undisturbed.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local time = require "ft.time"

local RECIPE = program.RECIPE:gsub("}\n$", [[
  evaluate = { score = ft.json_f1 { "number" } },
  extract = { prompt = function(row) return ft.prompt { system = "Find the number.", user = row.text } end },
}
]])

--- Starts ftrun serve in dir with faults.
local function serve(dir, faults)
  local server = program.start(dir, { FTRUN_SERVE_FAULTS = json.encode(json.array(faults)) }, "serve", "--port", "0")
  while not server.err():find "listens on" do time.sleep(0.005) end
  getmetatable(server).__close = server.kill
  return server
end

local function stall(route) return { route = route, kind = "stall", seconds = 60, before = true, count = 99 } end

local function wait(started)
  while not started.code() do time.sleep(0.01) end
  return started.code()
end

--- Runs a command against a server that keeps silent on a route, and is killed meanwhile.
local function moved(dir, route, ...)
  local server <close> = serve(dir, { stall(route) })
  local started = program.start(dir, {}, ...)
  time.sleep(0.25)
  t.eq(started.code(), nil, started.err())
  server.kill()
  wait(started)
  return started
end

-- What an answer tells of itself: when it was given.
local function plain(text)
  return (text:gsub('"at":"[^"]*"', ""):gsub('"seconds":[%d.e-]+', ""):gsub('"latency[%w_]*":%b{}', ""))
end

t.test("whichever command asks it, a local provider whose process is killed is served on by the command itself",
  function()
    program.in_project(function(dir)
      t.eq(program.run(dir, {}, "--local", "toy.lua").code, 0)
      assert(fs.write(dir .. "/law.txt", "Стаття 107. Текст закону."))
      local job, jobs = "GET /fine_tuning/jobs/*", "GET /fine_tuning/jobs"
      for _, case in ipairs {
        { job, "status", "--json" },
        { job .. "/events", "events", "--json" },
        { job .. "/checkpoints", "checkpoints", "--json" },
        { job .. "/events", "watch", "--json" },
        { jobs, "list", "--jobs", "--local", "--json" },
        { "GET /models", "models", "--local", "--json" },
        { "GET /files", "files", "--local", "--json" },
        { "POST /chat/completions", "chat", "Стаття 107." },
      } do
        local name, alone = table.concat(case, " ", 2), program.run(dir, {}, table.unpack(case, 2))
        local r = moved(dir, table.unpack(case))
        t.eq({ name, r.code(), r.out() }, { name, 0, alone.out }, r.err())
      end
    end, 40, RECIPE)
  end)

t.test("questions on their way when the server is killed are asked again, of the one that follows", function()
  program.in_project(function(dir)
    t.eq(program.run(dir, {}, "--local", "toy.lua").code, 0)
    local function forget()
      fs.remove(dir .. "/.ftrun/extract", true)
      for _, name in ipairs(fs.list(dir .. "/.ftrun/runs")) do
        fs.remove(dir .. "/.ftrun/runs/" .. name .. "/evaluation.jsonl")
      end
    end
    for _, words in ipairs { { "eval", "--json" }, { "extract", "toy.lua", "rows.jsonl" } } do
      forget()
      local alone = program.run(dir, {}, table.unpack(words))
      t.eq(alone.code, 0, alone.err)
      forget()
      local server <close> = serve(dir,
        { { route = "POST /chat/completions", kind = "stall", seconds = 60, from = 3, count = 99 } })
      local started = program.start(dir, {}, table.unpack(words))
      time.sleep(0.4)
      t.eq(started.code(), nil, started.err())
      server.kill()
      t.eq(wait(started), 0, started.err())
      t.eq(plain(started.out()), plain(alone.out))
    end
  end, 40, RECIPE)
end)

t.test("an answer that was being shown when its server was killed is shown to its end, and once", function()
  program.in_project(function(dir)
    t.eq(program.run(dir, {}, "--local", "toy.lua").code, 0)
    local words = { "chat", "Стаття 107. Текст закону." }
    local alone = program.run(dir, {}, table.unpack(words)).out
    local server <close> = serve(dir, { { route = "POST /chat/completions", kind = "slow", seconds = 0.0005 } })
    local chat = program.start(dir, {}, table.unpack(words))
    while #chat.out() < 4 do time.sleep(0.002) end
    t.eq(chat.code(), nil)
    server.kill()
    t.eq({ wait(chat), chat.out() }, { 0, alone }, chat.err())
  end, 40, RECIPE)
end)

t.test("a run makes one job and one file a side, whatever request its server dies in", function()
  for _, route in ipairs { "POST /files", "POST /fine_tuning/jobs", "GET /fine_tuning/jobs/*/events" } do
    for _, before in ipairs { true, false } do
      program.in_project(function(dir)
        local silent = stall(route)
        silent.before = before
        local server <close> = serve(dir, { silent })
        local run = program.start(dir, {}, "--local", "toy.lua", "--json")
        time.sleep(0.4)
        t.eq(run.code(), nil, run.err())
        server.kill()
        t.eq(wait(run), 0, run.err())
        t.eq(#json.decode(program.run(dir, {}, "list", "--jobs", "--local", "--json").out), 1)
        local files = json.decode(program.run(dir, {}, "files", "--local", "--json").out)
        local uploaded = 0
        for _, file in ipairs(files) do uploaded = uploaded + (file.purpose == "fine-tune" and 1 or 0) end
        t.eq(uploaded, 2, route)
        t.eq(#fs.list(dir .. "/.ftrun/runs"), 1)
      end)
    end
  end
end)
