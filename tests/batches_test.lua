--- Evaluating through the batch API of the local provider: half the price, and nothing paid twice.
local t = require "harness"
local err = require "ftrun.err"
local evaluate = require "ftrun.evaluate"
local fs = require "ft.fs"
local json = require "ftrun.json"
local local_server = require "ftrun.local.server"
local providers = require "ftrun.providers"
local task = require "ft.task"
local time = require "ft.time"

local BASE, OTHER = "gpt-4o-mini-2024-07-18", "gpt-4.1-mini-2025-04-14"

local function write_rows(path, count)
  local lines = {}
  for i = 1, count do
    lines[i] = json.encode { messages = { { role = "user", content = "Row " .. i },
      { role = "assistant", content = '{"n":["x"]}' } } }
  end
  assert(fs.write(path, table.concat(lines, "\n") .. "\n"))
end

--- Runs body(ctx) with a folder, rows and the local provider; ctx.run(o) evaluates, ctx.requests counts by route.
local function with_provider(count, faults, body)
  local folder <close> = t.folder()
  local dir, requests = folder.path .. "/run", {}
  assert(fs.mkdir(dir))
  write_rows(dir .. "/validation.jsonl", count)
  local ctx = { dir = dir, requests = requests }
  local function start()
    ctx.server = local_server.start { dir = folder.path .. "/local", faults = faults, on_log = function(text)
      local route = text:match "^(%u+ %S+)":gsub("/v1", ""):gsub("(batches/)[^/]+", "%1*"):gsub("(files/)[^/]+", "%1*")
      requests[route] = (requests[route] or 0) + 1
    end }
    ctx.provider = providers.open { name = "local", base_url = ctx.server.url, auth_secret = false, backoff_s = 0.01 }
  end
  function ctx.restart()
    ctx.server.close()
    start()
  end
  function ctx.run(o)
    o = o or {}
    return evaluate.run { recipe = { evaluate = { score = { kind = "json_f1", paths = { "n[]" } }, batch = o.batch },
      seed = 42 }, provider = ctx.provider, dir = dir, validation = dir .. "/validation.jsonl", base = BASE,
      tuned = OTHER, limit = o.limit, progress = o.progress or function() end }
  end
  start()
  local _ <close> = setmetatable({}, { __close = function() ctx.server.close() end })
  body(ctx)
end

local function files_left(dir)
  local left = {}
  for _, name in ipairs(fs.list(dir)) do if name:find "^batch%-" then left[#left + 1] = name end end
  return left
end

t.test("a batch for each model answers every row, and none is asked by itself", function()
  with_provider(25, nil, function(c)
    local e = c.run { batch = true }
    t.eq({ e.compared, e.models.base.batch, e.models.tuned.batch, e.models.base.errors }, { 25, 25, 25, 0 })
    t.eq({ c.requests["POST /batches"], c.requests["POST /files"], c.requests["POST /chat/completions"] }, { 2, 2 })
    t.eq({ #files_left(c.dir), e.latency.base, e.scores[1].base.value }, { 0, nil, 0.0 })
    t.eq(c.run({ batch = true }).compared, 25)
    t.eq({ c.requests["POST /batches"], c.requests["POST /files"] }, { 2, 2 })
    -- what is asked by itself has the same answers
    local first = fs.read(c.dir .. "/evaluation.jsonl")
    t.eq(select(2, first:gsub('"batch":true', "")), 50)
  end)
end)

t.test("many requests are cut into batches that the provider takes", function()
  with_provider(25, nil, function(c)
    c.provider.dialect.batch_requests = 10
    t.eq(c.run({ batch = true }).compared, 25)
    t.eq(c.requests["POST /batches"], 6)
  end)
  with_provider(25, nil, function(c)
    c.provider.dialect.batch_bytes = 1500 -- some six requests
    t.eq(c.run({ batch = true }).compared, 25)
    t.ok(c.requests["POST /batches"] > 6 and c.requests["POST /batches"] < 20, c.requests["POST /batches"])
  end)
end)

t.test("lost answers and failures after the work make no second upload and no second batch", function()
  with_provider(12, { { route = "POST /files", kind = "lose" }, { route = "POST /batches", kind = "lose" },
    { route = "POST /batches", kind = "forget", from = 2 }, { route = "GET /batches/*", kind = "refuse", status = 503,
      count = 3 }, { route = "GET /files/*/content", kind = "half" } }, function(c)
    t.eq(c.run({ batch = true }).compared, 12)
    local list = c.provider:batches()
    t.eq(#list, 2)
    local inputs = 0
    for _, file in ipairs(c.provider:files "batch") do inputs = inputs + (file.purpose == "batch" and 1 or 0) end
    t.eq(inputs, 2)
  end)
end)

t.test("a start that was cut off anywhere is continued with the same batches", function()
  with_provider(30, nil, function(c)
    local stops = 0
    -- each time a little further: the task is ended where it waits, as a crash would end it
    for turns = 1, 40 do
      local work = task.spawn(c.run, { batch = true })
      for _ = 1, turns do time.sleep(0) end
      if work:status() == "done" then break end
      work:cancel()
      stops = stops + 1
      if turns % 10 == 0 then c.restart() end
    end
    t.ok(stops > 5, stops)
    local e = c.run() -- without a word of batches: what is paid is fetched
    t.eq({ e.compared, e.models.base.errors, #files_left(c.dir) }, { 30, 0, 0 })
    t.eq({ #c.provider:batches(), c.requests["POST /chat/completions"] }, { 2 })
  end)
end)

t.test("a request that fails inside a batch is a missing row, and a second start asks it alone", function()
  with_provider(12, nil, function(c)
    local text = fs.read(c.dir .. "/validation.jsonl")
    local image = json.encode { messages = { { role = "user", content = json.array { { type = "image_url",
      image_url = { url = "https://example.org/x.png" } } } }, { role = "assistant", content = '{"n":[]}' } } }
    assert(fs.write(c.dir .. "/validation.jsonl", text .. image .. "\n"))
    local e = c.run { batch = true }
    t.eq({ e.rows, e.compared, e.models.base.errors, e.models.tuned.errors }, { 13, 12, 1, 1 })
    t.has(evaluate.notes(e)[1], "1 of 13 rows could not be asked, and are left out on both sides")
    t.has(evaluate.notes(e)[1], "text")
    e = c.run()
    t.eq({ e.compared, c.requests["POST /chat/completions"], c.requests["POST /batches"] }, { 12, 2, 2 })
  end)
end)

t.test("a batch that is refused as a whole says why, and the next start begins another", function()
  with_provider(12, nil, function(c)
    local put = c.provider.put_file
    c.provider.put_file = function(p, o) -- damaged on the way
      local bytes = fs.read(o.path)
      assert(fs.write(o.path, (bytes:gsub('"method":"POST"', '"method":"GUT"', 1))))
      return put(p, o)
    end
    local e = t.raises("failed", c.run, { batch = true })
    t.eq({ err.is(e), e.kind, e.code }, { true, "provider", "batch_failed" })
    t.has(e.message, "Invalid value for 'method'")
    c.provider.put_file = nil
    t.eq(c.run({ batch = true }).compared, 12)
  end)
end)

t.test("a batch that was cancelled keeps what it has, and the rest is asked by the next start", function()
  with_provider(300, nil, function(c)
    local e = c.run { batch = true, progress = function(label)
      if label ~= "waiting for batches" then return end
      for _, batch in ipairs(c.provider:batches()) do
        if batch.status == "in_progress" then pcall(c.provider.cancel_batch, c.provider, batch.id) end
      end
    end }
    t.ok(e.compared < 300 and e.models.base.errors + e.models.tuned.errors > 0, e.compared)
    t.eq(e.models.base.answered + e.models.base.errors, 300)
    t.eq(c.run({ batch = true }).compared, 300)
  end)
end)
