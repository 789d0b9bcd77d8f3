--- Logs rows of 8 metrics into a W&B run on disk. Not part of the test run; tests/bench/wandb.sh calls it:
---   FTRUN_LUA=tests/bench:tests:lua FTRUN_BENCH="ROWS bulk|live FOLDER" ftrun_tests logging
local fs = require "ft.fs"
local log = require "ftrun.wandb.log"
local records = require "ftrun.wandb.records"
local secrets = require "ft.secrets"
local t = require "harness"
local time = require "ft.time"

local count, way, folder = assert(secrets.setting "FTRUN_BENCH", "FTRUN_BENCH is not set"):match "(%d+) (%S+) (%S+)"
count = math.tointeger(count)

t.test("logging", function()
  math.randomseed(1)
  local values, names = {}, {}
  for k = 1, 8 do names[k] = "metric_" .. k - 1 end
  for i = 1, 1000 do
    values[i] = {}
    for k = 1, 8 do values[i][k] = math.random() end
  end
  local path, began, at = folder .. "/rows.wandb", time.monotonic(), time.now()
  local w <close> = assert(log.create(path, way == "bulk"))
  assert(w:add(records.header "ftrun-bench"))
  assert(w:add(records.run { run_id = "bench", config = {}, start_time = at, slot = "ftrun" }))
  local latest
  for i = 0, count - 1 do
    local row, of = {}, values[i % 1000 + 1]
    for k = 1, 8 do row[names[k]] = of[k] end
    row._step, row._timestamp, row._runtime = i, time.now(), time.monotonic() - began
    assert(w:add(records.history(row)))
    latest = row
  end
  assert(w:add(records.summary(latest, math.floor(time.monotonic() - began))))
  assert(w:add(records.exit(0, math.floor(time.monotonic() - began))))
  assert(w:add(records.final()))
  assert(w:add(records.footer(), true))
  io.stderr:write(("%d rows %s in %.2f s, %d MB\n"):format(count, way, time.monotonic() - began,
    assert(fs.stat(path)).bytes // 1000000))
  assert(fs.remove(path))
end)
