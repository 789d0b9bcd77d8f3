--- Runs tests/NAME_test.lua for each NAME ("faults/kill" too) and prints one line a test. A file without tests is a
--- failure.
local task = require "ft.task"
local t = require "harness"

return function(...)
  local passed, failed = 0, 0
  for _, name in ipairs { ... } do
    t.tests = {}
    require(name .. "_test")
    if #t.tests == 0 then failed = failed + 1; io.write("not ok ", name, ": no tests\n") end
    for _, case in ipairs(t.tests) do
      collectgarbage()
      local ok, err = pcall(function() return task.spawn(case.fn):join() end)
      if ok then passed = passed + 1 else failed = failed + 1 end
      io.write(ok and "ok " or "not ok ", name, ": ", case.name, "\n")
      if not ok then io.write("  ", (tostring(err):gsub("\n", "\n  ")), "\n") end
    end
  end
  io.write(("%d passed, %d failed\n"):format(passed, failed))
  return failed == 0 and 0 or 1
end
