--- W&B when something is in its way: jobs that fail, logs that cannot be written, servers that have a part, settings
--- that mean nothing. The run goes on, says why, and nothing is lost or there twice.
local t = require "harness"
local cursor = require "ftrun.wandb.cursor"
local double = require "wandb_double"
local fs = require "ft.fs"
local json = require "ftrun.json"
local logs = require "wandb_logs"
local program = require "program"
local time = require "ft.time"

local all, values, WANTED = logs.all, logs.values, logs.WANTED

local LONG = WANTED:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 40, batch_size = 2")
local STEPS = 40 * 15

--- What the last summary of a log says.
local function last_summary(list)
  local summaries = all(list, "summary")
  return values(summaries[#summaries].update)
end

--- The names of a log's artifacts and run files.
local function names_of(list)
  local names = {}
  for _, a in ipairs(all(list, "artifact")) do names[#names + 1] = a.type end
  for _, record in ipairs(all(list, "files")) do
    for _, f in ipairs(record.files) do names[#names + 1] = f.path end
  end
  table.sort(names)
  return names
end

t.test("a job that failed is logged as failed, with its error, recipe, lock file and data, and no model", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local started = program.start(dir, { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "local-key-of-nobody" }, "toy.lua",
      "--yes", "--json")
    -- the provider loses what it has of the job: the next checkpoint cannot be kept
    local states
    repeat
      time.sleep(0.005)
      for _, name in ipairs(fs.list(dir .. "/served/jobs") or {}) do
        if not name:find "%." then states = dir .. "/served/jobs/" .. name end
      end
    until started.code() or states and #(fs.list(states) or {}) > 0
    repeat fs.remove(states, true) until fs.write(states, "in the way")
    while not started.code() do time.sleep(0.01) end
    local result = program.result { out = started.out() }
    t.eq({ result.state, started.code() }, { "failed", 9 }, started.err())
    local list = logs.log_of(dir)
    local last = last_summary(list)
    t.eq({ last.state, last.status, all(list, "exit")[1].exit_code }, { "failed", "failed", 9 })
    t.eq(last.error, result.error.message)
    t.ok(#all(list, "history") > 0 and last.fine_tuned_model == nil)
    t.eq(names_of(list), { "recipe.lock.json", "recipe.lua", "training_files", "validation_files" })
    local config = values(all(list, "config")[1].update)
    t.eq({ config.status, config.id, config.error.code }, { "failed", result.job, result.error.code })
  end, 40, LONG)
end)

t.test("a run whose W&B log cannot be written goes on without, and is logged whole afterwards", function()
  program.in_project(function(dir)
    program.interrupt(dir, "KILL", dir .. "/.ftrun/runs/*/metrics.jsonl", '"step":20', "--local", "toy.lua")
    local run = fs.list(dir .. "/.ftrun/runs")[1]
    local place = ("%s/.ftrun/runs/%s/wandb"):format(dir, run)
    assert(fs.remove(place, true))
    assert(fs.write(place, "in the way"))
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    t.has(r.err, "the wandb tracker stopped")
    t.has(r.err, "ftrun wandb sync " .. run)
    assert(fs.remove(place))
    r = program.run(dir, {}, "wandb", "sync", run, "--json")
    t.eq({ r.code, json.decode(r.out).did }, { 0, "logged" }, r.err)
    local list, steps = logs.log_of(dir), {}
    for i, h in ipairs(all(list, "history")) do steps[i] = values(h.item)._step end
    t.eq({ #steps, steps[1], steps[#steps] }, { STEPS, 1, STEPS })
    t.eq({ last_summary(list).state, all(list, "exit")[1].exit_code }, { "succeeded" })
  end, 40, LONG)
end)

t.test("a run that is partly at a server is passed over by W&B's own sync, which would add its steps again", function()
  local d <close> = double.open(function(n) return n > 2 and { status = 401, before = true } or nil end)
  program.in_project(function(dir)
    local env = { WANDB_API_KEY = double.KEY, WANDB_BASE_URL = d.url, WANDB__FILE_STREAM_TRANSMIT_INTERVAL = "0.02" }
    local started = program.start(dir, env, "--local", "toy.lua", "--json")
    while not started.code() do time.sleep(0.01) end
    t.eq(started.code(), 0, started.err())
    t.has(started.err(), "HTTP 401")
    local result = program.result { out = started.out() }
    local _, path = logs.log_of(dir)
    t.eq({ cursor.state(path), fs.stat(path .. ".synced") ~= nil }, { "part", true })
    t.ok(not started.err():find("wandb sync .", 1, true), started.err())
    t.has(program.run(dir, {}, "wandb", "status").out, "  " .. result.run)
    -- without a server nobody is sent to W&B's own sync either
    local r = program.run(dir, {}, "wandb", "sync", result.run)
    t.has(r.out:gsub("%s+", " "), "a part of it is there; send the rest: ftrun wandb sync " .. result.run)
    d.fault = nil
    started = program.start(dir, env, "wandb", "sync", result.run)
    while not started.code() do time.sleep(0.01) end
    t.eq(started.code(), 0, started.err())
    t.eq({ cursor.state(path), #d:lines "wandb-history.jsonl", d.exit }, { "all", STEPS, 0 })
    t.has(program.run(dir, {}, "wandb", "status").out, "sent: 1")
  end, 40, LONG)
end)

t.test("chats at the same time are all logged; a day's run that was sent is followed by another", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local env, chats = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "local-key-of-nobody" }, {}
    t.eq(program.run(dir, env, "toy.lua", "--yes").code, 0)
    env.WANDB_ENABLED = "true"
    local function count()
      local rows = 0
      for _, list in pairs(logs.runs_of(dir .. "/.ftrun/wandb")) do rows = rows + #all(list, "history") end
      return rows
    end
    for i = 1, 5 do chats[i] = program.start(dir, env, "chat", "Стаття " .. i) end
    for _, chat in ipairs(chats) do
      while not chat.code() do time.sleep(0.01) end
      t.eq({ chat.code(), chat.err():find "W&B" }, { 0 }, chat.err())
    end
    t.eq(count(), 5)
    local id = next(logs.runs_of(dir .. "/.ftrun/wandb"))
    for _, name in ipairs(fs.list(dir .. "/.ftrun/wandb")) do
      if name:sub(-#id) == id then
        assert(fs.write(("%s/.ftrun/wandb/%s/run-%s.wandb.synced"):format(dir, name, id), ""))
      end
    end
    time.sleep(1) -- a run's name holds the second
    t.eq(program.run(dir, env, "chat", "Стаття 6").code, 0)
    t.eq(count(), 6)
    t.eq(#all(logs.runs_of(dir .. "/.ftrun/wandb")[id], "history"), 5)
  end)
end)

t.test("a job's texts are fetched and logged when --log-datasets asks for them, and never otherwise", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local env = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "local-key-of-nobody" }
    local result = program.result(program.run(dir, env, "toy.lua", "--yes", "--json"))
    local function synced(...)
      local far = t.folder()
      local r = program.run(far.path, env, "wandb", "sync", result.job, "--json", ...)
      t.eq(r.code, 0, r.err)
      local held = os.execute(("grep -rqF 'Текст закону' '%s'"):format(far.path)) == true
      return logs.runs_of(far.path .. "/.ftrun/wandb")[result.job], held, far
    end
    local list, held = synced()
    t.eq({ held, names_of(list) }, { false, { "model", "training_files", "validation_files" } })
    local far
    list, held, far = synced "--log-datasets"
    local config = values(list[2].run.config.update)
    t.eq({ held, config.n_train, config.n_valid }, { true, 30, 10 })
    t.has(table.concat(names_of(list), " "), "media/table/train_data_")
    for _, a in ipairs(all(list, "artifact")) do
      if a.type == "training_files" then
        t.eq(fs.read(a.manifest.contents[2].local_path), fs.read(dir .. "/" .. result.dir .. "/train.jsonl"))
      end
    end
    for _, name in ipairs(fs.list(far.path .. "/.ftrun/wandb")) do t.ok(not name:find "%.files$", name) end
  end, 40)
end)

t.test("settings that mean nothing log nothing, and are told", function()
  for name, value in pairs { WANDB_MODE = "onlin", WANDB_ENABLED = "flase" } do
    program.in_project(function(dir)
      local r = program.run(dir, { [name] = value }, "--local", "toy.lua")
      t.eq(r.code, 0, r.err)
      t.has(r.err, ("W&B not initialised: %s is %s"):format(name, value))
      t.eq(logs.log_of(dir), nil)
    end, 40, WANTED)
  end
end)

t.test("a key in a settings file is taken as the SDK takes it, and shown nowhere", function()
  local d <close> = double.open()
  program.in_project(function(dir)
    assert(fs.mkdir(dir .. "/wandb"))
    assert(fs.write(dir .. "/wandb/settings", ("[default]\nbase_url = %s\napi_key = %s\n"):format(d.url, double.KEY)))
    t.has(program.run(dir, {}, "wandb", "status").out, "found (wandb/settings)")
    local started = program.start(dir, {}, "--local", "toy.lua", "--json")
    while not started.code() do time.sleep(0.01) end
    t.eq({ started.code(), d.exit }, { 0, 0 }, started.err())
    assert(fs.remove(dir .. "/wandb", true))
    t.ok(not os.execute(("grep -rqF '%s' '%s'"):format(double.KEY, dir)), "the key is in a file")
    t.ok(not (started.out() .. started.err()):find(double.KEY, 1, true))
  end, 40, WANTED)
end)

t.test("two who put a run at once are told to come again: 409 of UpsertBucket is no refusal", function()
  local d <close> = double.open(function(n)
    return n <= 2 and { status = 409, before = true, headers = { ["Retry-After"] = "0.01" } } or nil
  end)
  program.in_project(function(dir)
    local started = program.start(dir, { WANDB_API_KEY = double.KEY, WANDB_BASE_URL = d.url }, "--local", "toy.lua")
    while not started.code() do time.sleep(0.01) end
    t.eq({ started.code(), d.exit }, { 0, 0 }, started.err())
    t.has(started.err(), "the run is at ")
  end, 40, WANTED)
end)

t.test("what is in the way of the server is told, with what to check", function()
  for status, advice in pairs { [401] = "/authorize into WANDB_API_KEY", [403] = "the key may write",
    [404] = "Check WANDB_BASE_URL, WANDB_ENTITY and WANDB_PROJECT" } do
    local d <close> = double.open(function() return { status = status, before = true } end)
    program.in_project(function(dir)
      local started = program.start(dir, { WANDB_API_KEY = double.KEY, WANDB_BASE_URL = d.url }, "--local", "toy.lua")
      while not started.code() do time.sleep(0.01) end
      t.eq(started.code(), 0, started.err())
      t.has(started.err(), ("HTTP %d; the run goes on"):format(status))
      t.has(started.err(), advice)
      t.has(started.err(), "16 of 16 steps are missing")
    end, 40, WANTED)
  end
end)
