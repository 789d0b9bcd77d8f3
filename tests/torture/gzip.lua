--- Every call of ft.gzip once, and log.out with a colour.
local fs = require "ft.fs"
local gzip = require "ft.gzip"

return function()
  local dir = "torture-gzip.tmp"
  local _ <close> = setmetatable({}, { __close = function() fs.remove(dir, true) end })
  assert(fs.mkdir(dir))
  assert(fs.write(dir .. "/plain", ("row "):rep(2000)))
  local writer <close> = assert(gzip.writer(dir .. "/z"))
  assert(writer:add "first\n")
  assert(writer:copy(dir .. "/plain", 8000))
  local short = select(3, writer:copy(dir .. "/plain", 9000)) == "changed"
  assert(writer:commit())
  local reader <close> = assert(gzip.reader(dir .. "/z"))
  local bytes = assert(reader:read(6))
  local rest = assert(reader:read(65536))
  local none = select(3, gzip.reader(dir .. "/plain")) == "gzip"
  return short and none and bytes == "first\n" and #rest == 8000 and reader:read(1) == nil and 0 or 1
end
