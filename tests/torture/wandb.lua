--- Every call of ft.wandb, and a log written and read.
local fs = require "ft.fs"
local log = require "ftrun.wandb.log"
local native = require "ft.wandb"
local records = require "ftrun.wandb.records"
local secrets = require "ft.secrets"

return function()
  local dir = "torture-wandb.tmp"
  local _ <close> = setmetatable({}, { __close = function() fs.remove(dir, true) end })
  assert(fs.mkdir(dir))
  local path = dir .. "/run.wandb"
  do
    local w <close> = assert(log.create(path))
    assert(w:add(records.run { run_id = "r", config = { a = 1 }, tags = { "t" }, start_time = 1.5 }))
    assert(w:add(records.history { _step = 1, text = ("x"):rep(300), loss = 0.1 + 0.2, ok = true, n = 5 }))
    assert(w:add(records.exit(1, 2)))
  end
  local list = assert(log.read(path))
  local shape = { { 1, "list", "int", true }, { 2, "m", { { 1, "ok", "bool" } } } }
  local back = native.decode(shape, native.encode(shape, { list = { 1, 2 }, m = { ok = true } }))
  local broken = native.decode(shape, "\x08") == nil and select(3, native.unframe("\1\2\3", 0)) == "cut"
  assert(fs.write(dir .. "/netrc", "machine m login a password pass-word"))
  local key = secrets.netrc(dir .. "/netrc", "m") ~= nil and secrets.netrc(dir .. "/none", "m") == nil
  return #list == 3 and list[1].run.tags[1] == "t" and #back.list == 2 and back.m.ok and broken and key and 0 or 1
end
