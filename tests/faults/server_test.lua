--- `ftrun serve` that is killed again and again: what it has answered for is there afterwards, and what it was doing
--- goes on. FTRUN_KILLS sets how many kills (default 5).
local t = require "harness"
local fs = require "ft.fs"
local time = require "ft.time"
local json = require "ftrun.json"
local program = require "program"
local providers = require "ftrun.providers"

local KILLS = tonumber(os.getenv "FTRUN_KILLS" or 5)
local LONG = program.RECIPE:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 50, batch_size = 1")

--- A server as a process of its own, which comes back on the same port after a kill.
local function serve(dir)
  local port
  local s = { dir = dir .. "/served" }
  t.ok(fs.mkdir(s.dir))
  function s.start()
    s.process = program.start(s.dir, {}, "serve", "--port", port or "0", "--json", "--quiet", "--dir", ".")
    local deadline = time.monotonic() + 20
    while not s.process.out():find "\n" do
      t.ok(time.monotonic() < deadline and not s.process.code(), "the server does not start: " .. s.process.err())
      time.sleep(0.005)
    end
    s.url = json.decode(s.process.out():match "[^\n]+").url
    port = s.url:match ":(%d+)/"
  end
  function s.kill() s.process.kill() end
  s.start()
  return setmetatable(s, { __close = s.kill })
end

local function count(folder, accept)
  local n = 0
  for _, name in ipairs(fs.list(folder)) do
    local record = name:find "%.json$" and json.decode(fs.read(folder .. "/" .. name))
    if record and accept(record) then n = n + 1 end
  end
  return n
end

t.test("a run goes on over kills of its server: one job, one upload for each file, each metric once", function()
  program.in_project(function(dir)
    local s <close> = serve(dir)
    local env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = s.url }
    local kills, starts, r = 0, 0, nil
    repeat
      starts = starts + 1
      t.ok(starts <= KILLS + 2, r and r.err)
      local run = program.start(dir, env, "toy.lua", "--yes", "--json")
      while not run.code() do
        time.sleep(0.05 + 0.3 * math.random())
        if kills < KILLS then
          kills = kills + 1
          s.kill()
          s.start()
        end
      end
      r = { out = run.out(), err = run.err(), code = run.code() }
    until r.code == 0
    t.eq(count(s.dir .. "/jobs", function() return true end), 1)
    t.eq(count(s.dir .. "/files", function(file) return file.purpose == "fine-tune" end), 2)
    local undisturbed = program.result(program.run(dir, {}, "--local", "toy.lua", "--json"))
    t.eq(program.metrics(dir, program.result(r)), program.metrics(dir, undisturbed))
  end, 40, LONG)
end)

t.test("a batch goes on over kills of its server with the requests that are missing, each answered once", function()
  local folder <close> = t.folder()
  local dir, lines, n = folder.path, {}, 600
  for i = 1, n do
    lines[i] = json.encode { custom_id = "r" .. i, method = "POST", url = "/v1/chat/completions", body = {
      model = "gpt-4o-mini", messages = { { role = "user", content = "question " .. i } },
      n = i % 50 == 0 and 0 or nil } }
  end
  t.ok(fs.write(dir .. "/requests.jsonl", table.concat(lines, "\n") .. "\n"))
  local s <close> = serve(dir)
  local p = providers.open { name = "local", base_url = s.url, auth_secret = false, backoff_s = 0.02 }
  local file = p:put_file { path = dir .. "/requests.jsonl", filename = "requests.jsonl", purpose = "batch" }
  local batch = p:create_batch { input_file = file.id }
  local answered, kills = 0, 0
  while batch.open do
    local now = (batch.counts.completed or 0) + (batch.counts.failed or 0)
    t.ok(now >= answered or batch.status == "validating" or now == 0, ("%d, after %d"):format(now, answered))
    answered = math.max(answered, now)
    if now > 0 and kills < KILLS then
      kills = kills + 1
      s.kill()
      s.start()
    end
    batch = p:batch(batch.id)
  end
  t.eq({ batch.status, batch.counts.total, batch.counts.completed, batch.counts.failed },
    { "completed", n, n - n // 50, n // 50 })
  t.ok(kills > 0)
  local at = 0
  p:fetch_file(batch.output_file, dir .. "/output.jsonl")
  for line in fs.read(dir .. "/output.jsonl"):gmatch "[^\n]+" do
    at = at + 1
    if at % 50 == 0 then at = at + 1 end
    t.eq(json.decode(line).custom_id, "r" .. at)
  end
  t.eq(at, n - 1)
end)
