--- An upload in parts whose program is killed in the middle, again and again: it goes on with the parts that are
--- missing. The limits that a provider has are made small for the program by a module in front of its own command line.
local t = require "harness"
local fs = require "ft.fs"
local time = require "ft.time"
local program = require "program"
local server = require "ftrun.local.server"

local PART = 1000
local AT_ONCE = 3 -- parts that are under way together

local SMALL = [[
local row = require("ftrun.providers").dialects.openai
row.file_bytes, row.part_bytes = %d, %d
return assert(load(require "ft.embedded" "ftrun.cli", "=cli"))(...)
]]

local function count(list, pattern)
  local n = 0
  for _, text in ipairs(list) do if text:find(pattern) then n = n + 1 end end
  return n
end

t.test("an upload in parts goes on after each kill -9, with the parts that are missing", function()
  program.in_project(function(dir)
    t.ok(fs.mkdir(dir .. "/small/ftrun"))
    t.ok(fs.write(dir .. "/small/ftrun/cli.lua", SMALL:format(3 * PART, PART)))
    local log = {}
    local running = server.start { dir = dir .. "/local", on_log = function(text) log[#log + 1] = text end }
    local _ <close> = setmetatable({}, { __close = function() running.close() end })
    local env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = running.url, FTRUN_LUA = dir .. "/small" }
    local PARTS = "^POST /v1/uploads/[^/]*/parts 200$"
    local kills, run = 0
    repeat
      run = program.start(dir, env, "toy.lua", "--yes", "--json")
      local seen = count(log, PARTS)
      while not run.code() do
        if kills < 6 and count(log, PARTS) >= seen + 4 then
          kills = kills + 1
          run.kill()
          break
        end
        time.sleep(0.001)
      end
    until run.code() == 0
    local r = { out = run.out(), err = run.err() }
    local dir_of_run = dir .. "/" .. program.result(r).dir
    local needed, files = 0, 0
    for _, side in ipairs { "train", "validation" } do
      local bytes = fs.stat(("%s/%s.jsonl"):format(dir_of_run, side)).bytes
      if bytes > 3 * PART then needed, files = needed + (bytes + PART - 1) // PART, files + 1 end
    end
    local sent = count(log, PARTS)
    t.ok(kills >= 2, kills)
    t.ok(sent >= needed and sent <= needed + AT_ONCE * kills,
      ("%d parts sent, %d needed, %d kills"):format(sent, needed, kills))
    t.eq(count(log, "^POST /v1/uploads/[^/]*/complete 200$"), files)
    t.eq(count(log, "^POST /v1/fine_tuning/jobs 200$"), 1)
  end, 120)
end)
