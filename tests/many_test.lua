--- Ten thousand jobs in a list, very many events in a job: the provider's store is filled by the test, and the
--- program reads it. What is counted are requests and memory, not time.
local t = require "harness"
local fs = require "ft.fs"
local task = require "ft.task"
local time = require "ft.time"
local json = require "ftrun.json"
local program = require "program"
local server = require "ftrun.local.server"

--- FTRUN_EVENTS sets how many events; 100000 take half a minute.
local JOBS, EVENTS, FEW = 10000, tonumber(os.getenv "FTRUN_EVENTS") or 10000, 1000

local function id_of(i) return ("ftjob-%024d"):format(i) end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- A store with so many finished jobs; the first of them has the log of events that is asked for.
local function furnish(dir, jobs, events)
  local folder = dir .. "/local/jobs"
  t.ok(fs.mkdir(folder))
  local record = { seq = 0, base = "gpt-4o-mini-2024-07-18", created_at = 1700000000, finished_at = 1700000900,
    status = "succeeded", training_file = "file-x", result_file = "file-r", seed = 1, checkpoints = json.array {},
    hyperparameters = { n_epochs = 1, batch_size = 1, learning_rate_multiplier = 1 }, validated = true,
    integrations = json.array {} }
  for i = 1, jobs do
    record.id, record.seq, record.model = id_of(i), i, ("ft:gpt-4o-mini-2024-07-18:local::%08d"):format(i)
    record.metadata, record.created_at = { ftrun_run = "run-" .. i }, 1700000000 + i
    write(("%s/%s.json"):format(folder, record.id), json.encode(record))
  end
  local log <close> = assert(io.open(("%s/%s.events.jsonl"):format(folder, id_of(1)), "wb"))
  for i = 1, events do
    -- a hundred a second: their order is that of the list
    assert(log:write(('{"created_at":%d,"data":{"step":%d,"total_steps":%d,"train_loss":0.25,'
      .. '"train_mean_token_accuracy":0.5},"id":"ftevent-%024d","key":"step-%d","level":"info",'
      .. '"message":"Step %d/%d: training loss=0.2500"}\n'):format(1700000000 + i // 100, i, events, i, i, i, events)))
  end
end

--- A server in this process over such a store; requests counts what was asked.
local function serve(dir, jobs, events)
  furnish(dir, jobs, events)
  local s = { requests = 0 }
  s.running = server.start { dir = dir .. "/local", on_log = function() s.requests = s.requests + 1 end }
  s.env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = s.running.url }
  return setmetatable(s, { __close = function() s.running.close() end })
end

--- Runs the program; how many requests that took is in `requests`.
local function ask(s, dir, ...)
  local before, began = s.requests, time.monotonic()
  local r = program.measure(dir, s.env, ...)
  t.eq(r.code, 0, r.err)
  r.requests = s.requests - before
  if os.getenv "FTRUN_EVENTS" then -- for tests/bench/README.md
    io.write(("# %s: %.2f s, %d KiB, %d requests\n"):format((...), time.monotonic() - began, r.peak_kib, r.requests))
  end
  return r
end

local function lines_of(text)
  local n = 0
  for _ in text:gmatch "\n" do n = n + 1 end
  return n
end

--- Memory is not compared under a sanitizer, which keeps what was freed.
local function check_growth(few, many, most_kib, what)
  if os.getenv "FTRUN_SANITIZED" == "1" then return end
  t.ok(many.peak_kib - few.peak_kib < most_kib,
    ("%s: %d KiB, and %d KiB with many"):format(what, few.peak_kib, many.peak_kib))
end

--- Fails when `body` holds up the loop of this process, in which the server runs, for longer than any slice should
--- take, even on a busy machine.
local function without_hold_up(body)
  local longest = 0
  local clock = task.spawn(function()
    while true do
      local began = os.clock()
      time.sleep(0)
      longest = math.max(longest, os.clock() - began)
    end
  end)
  local _ <close> = setmetatable({}, { __close = function() clock:cancel() end })
  body()
  return longest
end

t.test("10,000 jobs: listing, paging and looking for one by its metadata", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path, JOBS, 1)
  local listed = ask(s, dir.path, "list", "--jobs", "--json")
  t.eq({ #json.decode(listed.out), listed.requests }, { 50, 1 })
  t.has(listed.out, id_of(JOBS))
  local provider = require("ftrun.providers").open { name = "local", base_url = s.running.url, auth_secret = false }
  local before = s.requests
  t.eq(provider:find({ ftrun_run = "run-1" }).id, id_of(1))
  t.eq(s.requests - before, 1, "the server knows the filter")
  before = s.requests
  local n = 0
  for _ in provider.wire:each("/fine_tuning/jobs", { limit = 100 }) do n = n + 1 end
  t.eq({ n, s.requests - before }, { JOBS, JOBS // 100 })
end)

t.test("paging through jobs stays right while jobs are added: each of those that were there comes once", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path, 25, 1)
  program.write_rows(dir.path, 12)
  local provider = require("ftrun.providers").open { name = "local", base_url = s.running.url, auth_secret = false }
  local row = json.encode { messages = { { role = "user", content = "x" }, { role = "assistant", content = "y" } } }
  t.ok(fs.write(dir.path .. "/train.jsonl", (row .. "\n"):rep(12)))
  local file = provider:put_file { path = dir.path .. "/train.jsonl", filename = "train.jsonl", purpose = "fine-tune" }
  local seen = {}
  for w in provider.wire:each("/fine_tuning/jobs", { limit = 4 }) do
    seen[#seen + 1] = w.id
    if #seen % 4 == 0 then
      provider:create { model = "gpt-4o-mini", training_file = file.id, hyperparameters = { n_epochs = 1 } }
    end
  end
  local expected = {}
  for i = 25, 1, -1 do expected[#expected + 1] = id_of(i) end
  t.eq(seen, expected)
end)

t.test("very many events: shown, and followed again, in the memory that a thousand take but for their ids", function()
  local few, many = {}, {}
  for _, case in ipairs { { few, FEW }, { many, EVENTS } } do
    local dir <close> = t.folder()
    local s <close> = serve(dir.path, 1, case[2])
    local began = time.monotonic()
    local slice = without_hold_up(function()
      local page = require("ftrun.providers").open { name = "local", base_url = s.running.url, auth_secret = false }
        .wire:pages(("/fine_tuning/jobs/%s/events"):format(id_of(1)), { limit = 100 })()
      t.eq(page[1].id, ("ftevent-%024d"):format(case[2]))
    end)
    t.ok(slice < 0.25, ("the first page of a log held up the loop for %.3f s of the processor's time"):format(slice))
    if os.getenv "FTRUN_EVENTS" then
      io.write(("# first page of %d events: %.3f s, longest slice %.3f s\n"):format(case[2], time.monotonic() - began,
        slice))
    end
    case[1].events = ask(s, dir.path, "events", id_of(1))
    t.eq(lines_of(case[1].events.out), case[2] + 1) -- and the state
    case[1].watch = ask(s, dir.path, "watch", id_of(1), "--json")
    t.eq(lines_of(case[1].watch.out), case[2] + 2) -- and the result
    local step = 0
    for at in case[1].watch.out:gmatch '"step":(%d+),"total_steps"' do
      -- each line has its step twice: in the event, and in its metrics
      t.ok(tonumber(at) == step or tonumber(at) == step + 1, at)
      step = tonumber(at)
    end
    t.eq(step, case[2])
  end
  for _, command in ipairs { "events", "watch" } do
    check_growth(few[command], many[command], 4096 + EVENTS // 3, command)
    -- each page is asked for twice at most
    t.ok(many[command].requests <= 2 * EVENTS / 100 + 10, many[command].requests)
  end
end)
