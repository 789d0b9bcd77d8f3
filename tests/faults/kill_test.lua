--- Runs that are interrupted, at a known moment and at random ones, and started again: one job, one upload for each
--- file, each metric once, the same numbers as an undisturbed run. FTRUN_KILLS sets how many random kills (default 8).
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"

local LONG = program.RECIPE:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 50, batch_size = 1")

--- One job, two uploads, one run, and the numbers of an undisturbed run (of this folder, unless given).
local function check_whole(dir, result, expected)
  t.eq(result.state, "succeeded")
  local jobs = json.decode(program.run(dir, {}, "list", "--jobs", "--local", "--json").out)
  t.eq(#jobs, 1)
  local uploads = 0
  for _, name in ipairs(fs.list(dir .. "/.ftrun/local/files")) do
    local file = name:match("%.json$") and json.decode(fs.read(dir .. "/.ftrun/local/files/" .. name))
    if file and file.purpose == "fine-tune" then uploads = uploads + 1 end
  end
  t.eq(uploads, 2)
  t.eq(#json.decode(program.run(dir, {}, "list", "--json").out), 1)
  if not expected then
    expected = program.metrics(dir, program.result(program.run(dir, {}, "--local", "toy.lua", "--json", "--new")))
  end
  t.eq(program.metrics(dir, result), expected)
  return expected
end

for signal, code in pairs { INT = 130, TERM = 143, KILL = 137 } do
  t.test("SIG" .. signal .. " while training, and the same command again", function()
    program.in_project(function(dir)
      local metrics = dir .. "/.ftrun/runs/*/metrics.jsonl"
      local cut = program.interrupt(dir, signal, metrics, '"step":3', "--local", "toy.lua")
      t.eq(cut.code, code)
      if signal ~= "KILL" then t.has(cut.err, "ftrun --local toy.lua") end
      local r = program.run(dir, {}, "--local", "toy.lua", "--json")
      t.eq(r.code, 0, r.err)
      t.has(r.err, "continuing run")
      check_whole(dir, program.result(r))
    end, 40, LONG)
  end)
end

--- Kills starts of one run until it is done, and some more: a finished run must survive that too. Returns what is
--- left of the kills, and the metrics.
local function kill_to_the_end(kills, expected)
  program.in_project(function(dir)
    local more = 3
    while kills > 0 and more > 0 do
      program.kill_after(dir, 0.01 + 0.3 * math.random(), "--local", "toy.lua")
      kills = kills - 1
      if (fs.read(dir .. "/toy.lock.json") or "") ~= "" then more = more - 1 end
    end
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    expected = check_whole(dir, program.result(r), expected)
  end, 40, LONG)
  return kills, expected
end

t.test("kill -9 at random moments, starting again each time", function()
  local left, expected = tonumber(os.getenv("FTRUN_KILLS") or 8), nil
  while left > 0 do left, expected = kill_to_the_end(left, expected) end
end)

t.test("a run whose local provider ends with the process that served it serves it itself", function()
  program.in_project(function(dir)
    assert(fs.write(dir .. "/short.lua", (program.RECIPE:gsub('"toy"', '"short"'):gsub("n_epochs = 2, batch_size = 4",
      "n_epochs = 15, batch_size = 1"))))
    assert(os.execute(([[cd '%s' && (env -i PATH=/usr/bin:/bin HOME=. '%s' --local short.lua >out 2>&1 </dev/null &)
      n=0
      until grep -qs '"step":2' .ftrun/runs/*/metrics.jsonl || [ $n -gt 300 ]; do sleep 0.02; n=$((n+1)); done]])
      :format(dir, os.getenv "FTRUN_BIN")))
    local r = program.run(dir, {}, "--local", "toy.lua", "--json", "--new")
    t.eq(r.code, 0, r.err)
    t.eq(program.result(r).state, "succeeded")
    t.eq(#fs.list(dir .. "/.ftrun/runs"), 2)
    t.eq(#json.decode(program.run(dir, {}, "list", "--jobs", "--local", "--json").out), 2)
  end, 40, LONG)
end)
