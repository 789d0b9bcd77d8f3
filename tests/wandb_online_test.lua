--- Online W&B runs: what is in the log arrives once, whatever happens on the way, and the run never waits for it.
local t = require "harness"
local cursor = require "ftrun.wandb.cursor"
local digest = require "ft.digest"
local double = require "wandb_double"
local fs = require "ft.fs"
local json = require "ftrun.json"
local online = require "ftrun.wandb.online"
local reader = require "ftrun.wandb.reader"
local records = require "ftrun.wandb.records"
local run_log = require "ftrun.wandb.log"
local secrets = require "ft.secrets"
local settings = require "ftrun.wandb.settings"
local sink = require "ftrun.wandb.sink"
local time = require "ft.time"
local wire = require "ftrun.wandb.wire"

--- Runs body(folder, set) with the double's key in a .env file.
local function with_key(base_url, body)
  local dir <close> = t.folder()
  local env = dir.path .. "/.env"
  assert(fs.write(env, ("WANDB_API_KEY=%s\nWANDB_BASE_URL=%s\nWANDB__FILE_STREAM_TRANSMIT_INTERVAL=0.05\n")
    :format(double.KEY, base_url)))
  assert(secrets.load(env))
  local _ <close> = setmetatable({}, { __close = function()
    assert(fs.write(env, ""))
    assert(secrets.load(env))
  end })
  assert(fs.mkdir(dir.path .. "/run/files"))
  body(dir.path .. "/run", settings.of { wandb = { project = "laws" } })
end

local function begin(folder, set, o)
  o = o or {}
  o.set = set
  local s = sink.create(folder .. "/run-r1.wandb", o)
  s:add(records.header "test")
  s:add(records.run { run_id = "r1", project = "laws", job_type = "test", tags = { "a" }, display_name = "first",
    config = { lr = 0.5, deep = { list = { 1, 2 } } }, start_time = 1767225600 })
  return s
end

local function step(s, i)
  s:add(records.history { _step = i, loss = 1 / i, _timestamp = 1767225600 + i, _runtime = i })
  s:add(records.output("step " .. i, 1767225600 + i))
  s:add(records.summary({ loss = 1 / i, _step = i }, i))
end

local function finish(s, code)
  s:add(records.exit(code or 0, 9))
  s:add(records.final())
  s:add(records.footer(), true)
end

local function wait_for(what)
  for _ = 1, 500 do
    if what() then return end
    time.sleep(0.01)
  end
  error("waited in vain", 2)
end

local function steps_at(d)
  local list = {}
  for i, line in ipairs(d:lines "wandb-history.jsonl") do list[i] = json.decode(line)._step end
  return list
end

local function count_to(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

t.test("a run arrives while it goes on: configuration, steps, summary, console, files and exit code", function()
  local d <close> = double.open()
  with_key(d.url, function(folder, set)
    t.eq({ set.online, set.offline_why }, { true })
    local s = begin(folder, set)
    s:add(records.files { "note.txt" })
    assert(fs.write(folder .. "/files/note.txt", "a note"))
    s:publish()
    for i = 1, 3 do step(s, i) end
    wait_for(function() return #steps_at(d) == 3 end)
    t.eq({ d.run.name, d.run.project, d.run.displayName, d.run.tags, d.run.jobType },
      { "r1", "laws", "first", { "a" }, "test" })
    t.eq({ d.config.lr, d.config.deep }, { { value = 0.5 }, { value = { list = { 1, 2 } } } })
    t.ok(d.config._wandb.value.t, "nobody could resume this run")
    s:add(records.config { lr = 0.25 })
    step(s, 4)
    finish(s, 3)
    local text = s:close()
    t.has(text, d.url .. "/team/laws/runs/r1")
    t.eq(steps_at(d), count_to(4))
    t.eq(d.config.lr, { value = 0.25 })
    t.eq(json.decode(d:lines "wandb-summary.json"[1]), { loss = 0.25, _step = 4, _wandb = { runtime = 4 } })
    t.eq(d:lines "output.log"[2], "2026-01-01T00:00:02.000000 step 2")
    t.eq({ d.exit, d.repeated }, { 3, 0 })
    t.eq(d.store["run/note.txt"].bytes, "a note")
    t.eq({ d.store["run/note.txt"].headers["x-store"], d.store["run/note.txt"].headers.authorization }, { "a:b" })
    t.eq(d.store["run/output.log"].bytes, "step 1\nstep 2\nstep 3\nstep 4\n")
    t.has(d.store["run/config.yaml"].bytes, '"lr":\n    value: 0.25\n')
    table.sort(d.uploaded)
    t.eq(d.uploaded, { "config.yaml", "note.txt", "output.log", "wandb-summary.json" })
    t.ok(fs.stat(folder .. "/run-r1.wandb.synced"))
    -- all is there: sending it again asks for nothing but the run
    local before = #d.asked
    t.eq(online.send { path = folder .. "/run-r1.wandb", set = set }.complete, true)
    t.eq({ #d.asked - before <= 2, d.repeated, #steps_at(d) }, { true, 0, 4 })
  end)
end)

t.test("lost answers, faults of the server and 429 cost time, and no step", function()
  local kinds = { { abort = true }, { status = 429, headers = { ["Retry-After"] = "0.02" }, before = true },
    { status = 503, headers = { ["Retry-After"] = "0.02" }, before = true }, { abort = true, before = true } }
  local n = 0
  local d <close> = double.open(function(count)
    if count % 2 == 0 and n < 8 then
      n = n + 1
      return kinds[(n - 1) % 4 + 1]
    end
  end)
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    for i = 1, 60 do
      step(s, i)
      time.sleep(0.002)
    end
    finish(s)
    s:close()
    t.eq(steps_at(d), count_to(60))
    t.eq({ #d:lines "output.log", d.exit }, { 60, 0 })
    t.ok(n >= 4, n)
  end)
end)

t.test("a quota that is nearly used up slows the sending down", function()
  local asked = false
  local d <close> = double.open(function(_, r)
    if asked or not r.path:find "file_stream" then return end
    asked = true
    return { headers = { ["RateLimit-Remaining"] = "1", ["RateLimit-Reset"] = "1.1" }, body = "{}" }
  end)
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    step(s, 1)
    wait_for(function() return #steps_at(d) == 1 end)
    local at = time.monotonic()
    step(s, 2)
    wait_for(function() return #steps_at(d) == 2 end)
    t.ok(time.monotonic() - at > 0.7, time.monotonic() - at)
    s:close()
  end)
end)

t.test("a request that is under way at the end is waited for, and not sent again", function()
  local d <close> = double.open(function(_, r)
    if r.path:find "file_stream" then time.sleep(0.2) end
  end)
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    step(s, 1)
    wait_for(function() return s.stream.api.busy == 1 and s.stream.where end)
    step(s, 2)
    finish(s)
    s:close()
    t.eq({ steps_at(d), d.repeated, d.exit }, { count_to(2), 0, 0 })
  end)
end)

t.test("an upload that is under way at the end is not begun again", function()
  local d <close> = double.open(function(_, r)
    if r.path:find "^/storage/run/note" then time.sleep(0.3) end
  end)
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    assert(fs.write(folder .. "/files/note.txt", "a note"))
    s:add { files = { files = { { path = "note.txt", policy = 0 } } } }
    s:publish()
    wait_for(function() return s.stream.uploader end)
    time.sleep(0.1)
    finish(s)
    s:close()
    local places = 0
    for _, name in ipairs(d.asked) do if name == "CreateRunFiles" then places = places + 1 end end
    t.eq({ places, d.store["run/note.txt"].bytes, d.exit }, { 2, "a note", 0 })
  end)
end)

t.test("while the server is away records are taken at once, and all arrive when it is back", function()
  local d <close> = double.open()
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    for i = 1, 10 do step(s, i) end
    wait_for(function() return #steps_at(d) == 10 end)
    d:down()
    local started = time.monotonic()
    for i = 11, 2000 do step(s, i) end
    time.sleep(0.3)
    t.ok(time.monotonic() - started < 5, "a run waits for W&B")
    t.eq(#steps_at(d), 10)
    d:up()
    for i = 2001, 2010 do step(s, i) end
    finish(s)
    s:close()
    t.eq(steps_at(d), count_to(2010))
    t.eq(d.exit, 0)
  end)
end)

t.test("a run whose server never answers stays offline, and the next one sends it", function()
  local d <close> = double.open()
  d:down()
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    for i = 1, 5 do step(s, i) end
    finish(s)
    s.stream.api.last_s = { answered = 1, unreachable = 1 }
    local text = s:close "ftrun wandb sync r1"
    t.has(text, "not all was sent")
    t.has(text, "5 of 5 steps are missing")
    t.has(text, "ftrun wandb sync r1")
    t.eq(fs.stat(folder .. "/run-r1.wandb.synced"), nil)
    t.eq(#run_log.read(folder .. "/run-r1.wandb"), 2 + 15 + 3)
    d:up()
    local r = online.send { path = folder .. "/run-r1.wandb", set = set }
    t.eq({ r.complete, r.why, steps_at(d) }, { true, nil, count_to(5) })
  end)
end)

t.test("a start after a kill goes on where the server is, with a log that was made anew", function()
  local d <close> = double.open()
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    for i = 1, 10 do step(s, i) end
    wait_for(function() return #steps_at(d) == 10 end)
    s.stream.task:cancel() -- the process ends here
    step(s, 11)
    local noted = cursor.open(folder .. "/run-r1.wandb")
    t.eq({ noted.history, noted.output, noted.complete }, { 10, 10, nil })
    s = begin(folder, set)
    for i = 1, 11 do step(s, i) end
    s:publish()
    step(s, 12)
    finish(s)
    s:close()
    t.eq({ steps_at(d), d.repeated }, { count_to(12), 0 })
    -- an answer that was never noted: the same lines come again, under the same numbers
    noted.history, noted.output = 7, 7
    noted:save()
    online.send { path = folder .. "/run-r1.wandb", set = set }
    t.eq({ steps_at(d), d.repeated }, { count_to(12), 10 })
    -- a server that has less gets the rest, another one everything
    for i = 5, 11 do d.streams["wandb-history.jsonl"][i] = nil end
    online.send { path = folder .. "/run-r1.wandb", set = set }
    t.eq(steps_at(d), count_to(12))
    local other <close> = double.open()
    set.base_url = other.url
    online.send { path = folder .. "/run-r1.wandb", set = set }
    t.eq({ steps_at(other), other.exit }, { count_to(12), 0 })
  end)
end)

t.test("a key that is refused ends the sending, not the run, and is shown nowhere", function()
  local d <close> = double.open(function() return { status = 401, before = true,
    body = '{"errors":[{"message":"invalid API key"}]}' } end)
  with_key(d.url, function(folder, set)
    local s = begin(folder, set)
    s:publish()
    step(s, 1)
    wait_for(function() return s.stream.why end)
    step(s, 2)
    finish(s)
    local text = s:close()
    t.has(text, "HTTP 401: invalid API key")
    t.has(text, "2 of 2 steps are missing")
    t.eq(d.count, 1)
    for _, name in ipairs(fs.list(folder)) do
      local bytes = fs.read(folder .. "/" .. name)
      t.ok(not (bytes and bytes:find(double.KEY, 1, true)), name)
    end
  end)
end)

t.test("the stop button is told once, and not again to a start that goes on", function()
  local d <close> = double.open()
  with_key(d.url, function(folder, set)
    local told = 0
    local s = begin(folder, set, { on_stop = function() told = told + 1 end })
    s:publish()
    step(s, 1)
    wait_for(function() return #steps_at(d) == 1 end)
    d.stop = true
    step(s, 2)
    wait_for(function() return told == 1 end)
    step(s, 3)
    s:close()
    t.eq({ told, #steps_at(d), d.exit }, { 1, 3, nil })
    s = begin(folder, set, { on_stop = function() told = told + 1 end })
    for i = 1, 4 do step(s, i) end
    s:publish()
    finish(s)
    s:close()
    t.eq({ told, #steps_at(d), d.exit }, { 1, 4, 0 })
  end)
end)

t.test("an artifact goes up with its files and manifest, once", function()
  local d <close> = double.open()
  with_key(d.url, function(folder, set)
    assert(fs.write(folder .. "/kept", "rows"))
    local sum = require "ftrun.wandb.artifact".base64(digest.md5 "rows")
    local record = { artifact = { run_id = "r1", type = "dataset", name = "train", digest = "abc", finalize = true,
      aliases = { "latest" }, metadata = '{"rows":1}', manifest = { version = 1,
        storage_policy = "wandb-storage-policy-v1",
        contents = { { path = "train.jsonl", digest = sum, size = 4, local_path = folder .. "/kept" } } } } }
    for _ = 1, 2 do
      local s = begin(folder, set)
      s:publish()
      s:add(record)
      finish(s)
      s:close()
    end
    t.eq({ d.artifact.artifactTypeName, d.artifact.artifactCollectionName, d.artifact.runName, d.artifact.metadata },
      { "dataset", "train", "r1", '{"rows":1}' })
    t.eq(d.store["artifact/train.jsonl"].bytes, "rows")
    local manifest = json.decode(d.store.manifest.bytes)
    t.eq(manifest.contents, { ["train.jsonl"] = { digest = sum, size = 4, birthArtifactID = "A1" } })
    local made = 0
    for _, name in ipairs(d.asked) do if name == "CreateArtifact" then made = made + 1 end end
    t.eq({ d.committed, made }, { true, 1 })
  end)
end)

t.test("a log is read while it grows, in little memory, and told when it is broken", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/x.wandb"
  local w <close> = assert(run_log.create(path))
  local r <close> = assert(reader.open(path))
  t.eq(r:next(), nil)
  local biggest = 0
  for i = 1, 300 do
    assert(w:add(records.history { _step = i, text = ("x"):rep(i * 37 % 5000) }))
    if i % 7 == 0 then
      while true do
        local record = r:next()
        if not record then break end
        t.eq(#record.history.item, 2)
      end
    end
    biggest = math.max(biggest, #r.window)
  end
  while r:next() do end
  t.eq(r.position, w.position)
  t.ok(biggest < 1 << 19, biggest)
  local bytes = fs.read(path)
  assert(fs.write(path, bytes:sub(1, 100000) .. "XXXX" .. bytes:sub(100005)))
  local again <close> = assert(reader.open(path))
  local _, message
  repeat _, message = again:next() until not _
  t.has(message, "checksum")
  t.eq(select(3, reader.open(dir.path .. "/none")), "io")
end)

t.test("what the API is told has the records' own JSON", function()
  local tree = {}
  wire.change(tree, { update = { { key = "a", value_json = "NaN" },
    { nested_key = { "b", "c" }, value_json = "12345678901234567890" } } })
  t.eq(wire.text(tree), '{"a":NaN,"b":{"c":12345678901234567890}}')
  wire.change(tree, { remove = { { key = "a" } } })
  t.eq(wire.text(tree), '{"b":{"c":12345678901234567890}}')
  t.eq(wire.history { item = { { key = "_step", value_json = "1" }, { key = 'q"', value_json = "[]" } } },
    '{"_step":1,"q\\"":[]}')
  local long = wire.console { output_type = 0, line = ("я"):rep(5000) .. "\nx\n",
    timestamp = { seconds = 0, nanos = 5000 } }
  t.eq({ #long, long[2] }, { 2, "ERROR 1970-01-01T00:00:00.000005 x" })
  t.eq(utf8.len(long[1]), #"ERROR 1970-01-01T00:00:00.000005 " + 4096)
  local config = json.decode(wire.config({}, { { name = "loss", step_metric = "epoch", summary = { min = true } },
    { name = "epoch", options = { hidden = true } } }, "w"))
  t.eq(config._wandb.value.m, { { ["1"] = "loss", ["5"] = 2, ["7"] = { 1 } }, { ["1"] = "epoch", ["6"] = { 2 } } })
end)

t.test("a run's page is derived as the SDK derives it", function()
  local run = { entity = "a team", project = "p", id = "r" }
  for base, page in pairs { ["https://api.wandb.ai"] = "https://wandb.ai/a%20team/p/runs/r",
    ["https://api.example.org"] = "https://app.example.org/a%20team/p/runs/r",
    ["http://127.0.0.1:8080"] = "http://127.0.0.1:8080/a%20team/p/runs/r" } do
    t.eq(settings.run_url({ base_url = base }, run), page)
  end
end)
