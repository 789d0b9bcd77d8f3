--- Rows that are drawn in pairs, by a seed alone.
local t = require "harness"
local resample = require "ft.resample"

t.test("both sides are summed over the same rows, as many as there are", function()
  local drawn <close> = resample.pairs(3, { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } },
    { { 10, 0, 0.5 }, { 0, 10, 0.5 }, { 0, 0, 10.5 } }, 42)
  local seen, a, b = {}, {}, {}
  for _ = 1, 200 do
    drawn:draw(a, b)
    t.eq(a[1] + a[2] + a[3], 3.0)
    t.eq(b, { a[1] * 10, a[2] * 10, 1.5 + a[3] * 10 })
    seen[("%d %d %d"):format(a[1] // 1, a[2] // 1, a[3] // 1)] = true
  end
  local kinds = 0
  for _ in pairs(seen) do kinds = kinds + 1 end
  t.eq(kinds, 10) -- all ways to draw three of three
end)

t.test("a seed always draws the same rows", function()
  local rows = {}
  for i = 1, 50 do rows[i] = { i } end
  local function sums(seed)
    local drawn <close> = resample.pairs(1, rows, rows, seed)
    local a, list = {}, {}
    for i = 1, 5 do
      drawn:draw(a, {})
      list[i] = a[1]
    end
    return list
  end
  t.eq(sums(42), sums(42))
  t.ok(sums(42)[1] ~= sums(43)[1])
  t.eq(sums(42), { 1419.0, 1393.0, 1141.0, 1312.0, 1218.0 }) -- by another program
end)

t.test("rows of other widths, other numbers of rows and other values are refused; closed is closed", function()
  t.raises("as many numbers", resample.pairs, 2, { { 1 } }, { { 1 } }, 1)
  t.raises("as many rows", resample.pairs, 1, { { 1 } }, { { 1 }, { 2 } }, 1)
  t.raises("list of rows", resample.pairs, 1, {}, {}, 1)
  t.raises("lists of numbers", resample.pairs, 1, { { "x" } }, { { 1 } }, 1)
  t.raises("list of lists", resample.pairs, 1, { 1 }, { 1 }, 1)
  local drawn = resample.pairs(1, { { 1 } }, { { 2 } }, 1)
  drawn:close()
  drawn:close()
  t.raises("closed", drawn.draw, drawn, {}, {})
end)
