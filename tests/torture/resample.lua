--- Every call of ft.resample once.
local resample = require "ft.resample"

return function()
  local drawn = resample.pairs(3, { { 1, 0, 2 }, { 0, 0, 0 } }, { { 1, 1, 1 }, { 0.5, 0, 3 } }, 42)
  local a, b = {}, {}
  drawn:draw(a, b)
  drawn:close()
  return #a == 3 and #b == 3 and not pcall(resample.pairs, 1, { { "x" } }, { { 1 } }, 1) and 0 or 1
end
