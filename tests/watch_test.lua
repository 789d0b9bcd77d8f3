--- Watching a job: a provider in memory says what is scripted, poll by poll, and a clock that only sleeping moves on.
local t = require "harness"
local time = require "ft.time"
local watch = require "ftrun.run.watch"

local START = 1790000000

--- Follows a job whose n-th poll answers polls[n] = { state =, status?, trained_tokens?, events? }, the last one for
--- ever. Returns what was told, the lengths of the sleeps, and the job.
local function follow(polls, o)
  o = o or {}
  local sleep, now, monotonic = time.sleep, time.now, time.monotonic
  local passed, sleeps, told, n, listed = 0, {}, {}, 0, {}
  time.sleep = function(s)
    passed = passed + s
    sleeps[#sleeps + 1] = s
    if #sleeps > 500 then error("watched for ever") end
  end
  time.now, time.monotonic = function() return START + passed end, function() return passed end
  local _ <close> = setmetatable({}, { __close = function()
    time.sleep, time.now, time.monotonic = sleep, now, monotonic
  end })
  local provider = { name = "openai" }
  function provider.get()
    n = n + 1
    local poll = polls[math.min(n, #polls)]
    for _, e in ipairs(polls[n] and poll.events or {}) do listed[#listed + 1] = e end
    return { id = "ftjob-1", state = poll.state, status = poll.status or poll.state, created_at = START,
      trained_tokens = poll.trained_tokens }
  end
  function provider.events(_, _, known)
    local from = 1
    for i, e in ipairs(listed) do if e.id == known then from = i end end
    local at = from - 1
    return function()
      at = at + 1
      return listed[at]
    end
  end
  function provider.checkpoints() return {} end
  local job = watch.follow { provider = provider, job_id = "ftjob-1", past = o.past or {},
    emit = function(event) told[#told + 1] = event end }
  return told, sleeps, job
end

local function message(id, text, at)
  return { id = id, created_at = at, level = "info", kind = "message", message = text }
end

local function step(i, of)
  return { id = "e" .. i, created_at = START, level = "info", kind = "metrics", message = "step " .. i,
    metrics = { step = i, total_steps = of, train_loss = 1 / i } }
end

local DONE = { state = "succeeded", trained_tokens = 100 }

local function brief(told)
  local list = {}
  for i, e in ipairs(told) do
    list[i] = e.type == "state" and e.status or e.type == "metrics" and e.step or e.message
  end
  return list
end

t.test("a state and an event of a kind that nobody knows are told and end nothing", function()
  local told = follow { { state = "unknown", status = "warming_up" },
    { state = "running", events = { { id = "e1", level = "info", kind = "moderation_checks", message = "checked" } } },
    DONE }
  t.eq(brief(told), { "warming_up", "running", "checked", "succeeded" })
end)

t.test("events of one second come once each, in the list's order", function()
  local told = follow { { state = "running", events = { step(1, 4), step(2, 4) } },
    { state = "running", events = { step(3, 4) } },
    { state = "succeeded", trained_tokens = 9, events = { step(4, 4) } } }
  t.eq(brief(told), { "running", 1, 2, 3, 4, "succeeded" })
end)

t.test("what the provider tells of a job after its end - steps, tokens - is waited for, but not for ever", function()
  local told, _, job = follow { { state = "running", events = { step(1, 3) } }, { state = "succeeded" },
    { state = "succeeded", events = { step(2, 3) } },
    { state = "succeeded", trained_tokens = 7, events = { step(3, 3) } } }
  t.eq(brief(told), { "running", 1, 2, 3, "succeeded" })
  t.eq(job.trained_tokens, 7)
  local late, sleeps = follow { { state = "running", events = { step(1, 3) } }, { state = "succeeded" } }
  t.eq(brief(late), { "running", 1, "succeeded" })
  t.eq(#sleeps, 1 + 4)
  local _, failed = follow { { state = "running", events = { step(1, 3) } }, { state = "failed" } }
  t.eq(#failed, 1)
end)

t.test("a job that waits longer than usual is told once: since when, what is usual, what to do", function()
  local polls = {}
  for i = 1, 100 do polls[i] = { state = "validating", status = "validating_files" } end
  polls[#polls + 1] = { state = "queued" }
  polls[#polls + 1] = DONE
  local told = follow(polls)
  t.eq(#told, 4)
  t.eq({ told[1].status, told[2].level, told[3].status }, { "validating_files", "warn", "queued" })
  t.has(told[2].message, ("the job is 'validating_files' since %s (3"):format(time.iso8601(START)))
  t.has(told[2].message, " min); up to 30 min is usual. Large files")
  t.has(told[2].message, "ftrun cancel")
end)

t.test("another start counts the wait from the job's last sign, not from its own beginning", function()
  local past = { { type = "state", state = "queued", status = "queued" },
    { type = "message", id = "e1", created_at = START - 5 * 3600, level = "info", message = "queued" } }
  local told = follow({ { state = "queued", events = { message("e1", "queued", START - 5 * 3600) } }, DONE },
    { past = past })
  t.eq(told[1].level, "warn")
  t.has(told[1].message, "(5 h); up to 4 h is usual")
  t.eq(told[2].status, "succeeded")
end)

t.test("polls are fast while something moves, slower in a queue, never two the same", function()
  local polls = {}
  for i = 1, 30 do polls[i] = { state = "queued" } end
  for i = 31, 40 do polls[i] = { state = "running", events = { step(i, 1000) } } end
  polls[41] = { state = "cancelled" }
  local _, sleeps = follow(polls)
  t.ok(sleeps[1] < 2.3, sleeps[1])
  t.ok(sleeps[29] > 26 and sleeps[29] < 34, sleeps[29])
  t.ok(sleeps[28] ~= sleeps[29])
  for i = 31, 39 do t.ok(sleeps[i] < 2.3, sleeps[i]) end
end)
