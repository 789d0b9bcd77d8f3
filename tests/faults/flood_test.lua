--- Answers without an end: the program stops reading, in little memory, and says why.
local t = require "harness"
local fs = require "ft.fs"
local err = require "ftrun.err"
local loopback = require "loopback"
local program = require "program"
local providers = require "ftrun.providers"

local PIECE = (" "):rep(256 * 1024)
local MOST_KIB = 64 * 1024 -- an answer of 16 MiB twice, and the program

--- Serves body(sent) without an end; `sent` counts its bytes.
local function flood(head, status)
  local s = { sent = 0 }
  local served = loopback.serve(function()
    local first = true
    return { status = status or 200, headers = { ["content-type"] = "application/json" }, chunks = function()
      local piece = first and head or PIECE
      first = false
      s.sent = s.sent + #piece
      return piece
    end }
  end)
  s.env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = served.url .. "/v1" }
  s.url = served.url .. "/v1"
  return setmetatable(s, { __close = function() served.server:close() end })
end

for what, case in pairs {
  ["an answer"] = { '{"id":"ftjob-1","status":"running","x":"' }, ["a list"] = { '{"object":"list","data":[' },
  ["a refusal"] = { '{"error":{"message":"', 400 },
} do
  t.test(what .. " of 10 GB is given up in little memory, with one clear message", function()
    local dir <close> = t.folder()
    local s <close> = flood(table.unpack(case))
    local r = program.measure(dir.path, s.env, "status", "ftjob-1")
    t.eq(r.code, 8, r.err)
    t.has(r.err, "the answer is larger than 16777216 bytes")
    t.has(r.err, "OPENAI_BASE_URL")
    if os.getenv "FTRUN_SANITIZED" ~= "1" then t.ok(r.peak_kib < MOST_KIB, r.peak_kib .. " KiB") end
    t.ok(s.sent < 300 << 20, s.sent)
  end)
end

t.test("a file may be larger than an answer of the API, and has a limit too", function()
  local dir <close> = t.folder()
  local s <close> = flood "{}\n"
  local p = providers.open { name = "local", base_url = s.url, auth_secret = false }
  p.dialect = setmetatable({ upload_bytes = 40 << 20 }, { __index = p.dialect })
  local e = t.raises("larger than 41943040 bytes", p.fetch_file, p, "file-1", dir.path .. "/out")
  t.ok(err.is(e))
  t.eq(fs.list(dir.path), {})
  t.ok(s.sent > 40 << 20 and s.sent < 60 << 20, s.sent)
end)
