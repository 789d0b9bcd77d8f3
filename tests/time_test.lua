local t = require "harness"
local task = require "ft.task"
local time = require "ft.time"

t.test("the clocks agree with the system's and move on", function()
  -- a busy machine may stop this test anywhere, and for long: nothing is compared but what was measured around it
  local before = os.time()
  local a, now = time.monotonic(), time.now()
  time.sleep(0.01)
  local b, after = time.monotonic(), os.time()
  t.ok(before - 0.1 <= now and now <= after + 1.1, now)
  t.ok(b - a >= 0.01 and b - a <= after - before + 1.1, b - a)
end)

t.test("sleepers wake in the order of their deadlines", function()
  -- deadlines from one moment on: a machine that stops between two spawns does not change their order
  local log, tasks, start = {}, {}, time.monotonic()
  for i, seconds in ipairs { 0.3, 0.1, 0.2, 0 } do
    tasks[i] = task.spawn(function()
      time.sleep(math.max(0, start + seconds - time.monotonic()))
      log[#log + 1] = seconds
    end)
  end
  for _, each in ipairs(tasks) do each:join() end
  t.eq(log, { 0, 0.1, 0.2, 0.3 })
end)

t.test("sleep(0) lets other tasks run", function()
  local log = {}
  local other = task.spawn(function() log[#log + 1] = "other" end)
  time.sleep(0)
  log[#log + 1] = "me"
  other:join()
  t.eq(log, { "other", "me" })
end)

t.test("a cancelled sleep stops at once", function()
  local sleeper = task.spawn(function() time.sleep(3600) end)
  time.sleep(0)
  sleeper:cancel()
  t.eq(sleeper:status(), "cancelled")
end)

t.test("sleep refuses what is no duration, and places that cannot wait", function()
  t.raises("seconds from 0 up", time.sleep, -1)
  t.raises("seconds from 0 up", time.sleep, 0 / 0)
  t.raises("cannot wait here", table.sort, { 1, 2, 3 }, function(a, b) time.sleep(0); return a < b end)
end)

t.test("iso8601 and parse are inverse", function()
  t.eq(time.iso8601(0), "1970-01-01T00:00:00Z")
  t.eq(time.iso8601(1795327200.9), "2026-11-22T06:00:00Z")
  t.eq(time.iso8601(-0.5), "1969-12-31T23:59:59Z")
  for _, text in ipairs { "0000-01-01T00:00:00Z", "1600-02-29T12:00:00Z", "1900-03-01T00:00:00Z",
                          "2000-02-29T23:59:59Z", "2024-12-31T23:59:59Z", "9999-12-31T23:59:59Z" } do
    t.eq(time.iso8601(time.parse(text)), text)
  end
  t.raises("0 to 9999", time.iso8601, 1e15)
  t.raises("0 to 9999", time.iso8601, 0 / 0)
end)

t.test("parse reads dates, fractions and offsets", function()
  local base = time.parse("2026-11-22T06:00:00Z")
  for text, seconds in pairs {
    ["2026-11-22"] = base - 6 * 3600,
    ["2026-11-22T06:00:00.25Z"] = base + 0.25,
    ["2026-11-22t06:00:00z"] = base,
    ["2026-11-22 06:00Z"] = base,
    ["2026-11-22 08:00:00+02"] = base,
    ["2026-11-22T08:30:00+0230"] = base,
    ["2026-11-21T22:00:00-08:00"] = base,
    ["2026-11-22T05:59:60Z"] = base,
  } do t.eq(time.parse(text), seconds, text) end
end)

t.test("parse refuses what is no time", function()
  for _, text in ipairs { "", "2026", "2026-1-2", "2026-13-01", "2026-02-29", "2026-04-31", "2026-11-22T",
                          "2026-11-22T06:00:00", "2026-11-22T24:00:00Z", "2026-11-22T06:60:00Z",
                          "2026-11-22T06:00:00.Z", "2026-11-22T06:00:00+2", "2026-11-22T06:00:00+02:",
                          "2026-11-22T06:00:00Z ", "2026-11-22\0",
                          "22.11.2026" } do
    t.has(t.fails("format", time.parse(text)), "expected a time")
  end
end)
