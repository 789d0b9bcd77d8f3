--- Runs tests/NAME_test.lua for each NAME ("faults/kill" too) and prints one line a test. A file without tests is a
--- failure; what a machine lacks for a test is printed.
local task = require "ft.task"
local t = require "harness"

return function(...)
  local passed, failed, skipped = 0, 0, 0
  for _, name in ipairs { ... } do
    t.tests = {}
    require(name .. "_test")
    if #t.tests == 0 then failed = failed + 1; io.write("not ok ", name, ": no tests\n") end
    for _, case in ipairs(t.tests) do
      collectgarbage()
      local ok, err = pcall(function() return task.spawn(case.fn):join() end)
      local reason = not ok and t.skipped(err)
      if ok then passed = passed + 1 elseif reason then skipped = skipped + 1 else failed = failed + 1 end
      io.write(ok and "ok " or reason and "skip " or "not ok ", name, ": ", case.name, "\n")
      if not ok then io.write("  ", ((reason or tostring(err)):gsub("\n", "\n  ")), "\n") end
    end
  end
  io.write(("%d passed, %d failed%s\n"):format(passed, failed, skipped > 0 and (", %d skipped"):format(skipped) or ""))
  return failed == 0 and 0 or 1
end
