--- Requests that no client should make: the local server refuses each in order and serves the others.
local t = require "harness"
local fs = require "ft.fs"
local time = require "ft.time"
local server = require "ftrun.local.server"

local EXPECTED = [[
huge header: 431
many headers: 431
huge path: 414
negative length: 400
length that is none: 400
bad chunk: 400
bad form: 400
form without parts: 400
foreign method: 405
foreign host: 403
path upwards: 404
path upwards, encoded: 404
body that is no JSON: 400
deep JSON: 400
beside 1000 that never finish: 200
afterwards: 200
end
]]

t.test("rude requests are refused in order, and clients that never finish one keep nobody waiting", function()
  local dir <close> = t.folder()
  local running = server.start { dir = dir.path .. "/local" }
  local _ <close> = setmetatable({}, { __close = running.close })
  os.execute(("python3 '%s/faults/rude_client.py' %d >%s/out 2>%s/err </dev/null &"):format(os.getenv "FTRUN_TESTS",
    running.port, dir.path, dir.path))
  local deadline = time.monotonic() + 60
  while not (fs.read(dir.path .. "/out") or ""):find "end\n" do
    t.ok(time.monotonic() < deadline, fs.read(dir.path .. "/err"))
    time.sleep(0.02)
  end
  t.eq(fs.read(dir.path .. "/out"), EXPECTED)
end)
