--- What changed between two texts, line by line, as diff -u shows it: Myers' greedy search for the shortest script, on
--- what is left between the lines that both texts begin and end with.
local M = {}

local CONTEXT = 3
local MOST = 1500 -- changed lines that are looked for; beyond that the middle counts as written anew

---@param text string
---@return string[]  a last line without its end counts as one
function M.lines(text)
  local list = {}
  for line in text:gmatch "([^\n]*)\n" do list[#list + 1] = line end
  local rest = text:match "([^\n]+)$"
  if rest then list[#list + 1] = rest end
  return list
end

-- Furthest points on each diagonal after d changes, for d = 0, 1, ...; nil when there are more than MOST.
local function search(a, b, first, n, m)
  local v, trace = { [1] = 0 }, {}
  for d = 0, math.min(n + m, MOST) do
    local before = {}
    for k = -d - 1, d + 1 do before[k] = v[k] end
    trace[d] = before
    for k = -d, d, 2 do
      local x = (k == -d or k ~= d and v[k - 1] < v[k + 1]) and v[k + 1] or v[k - 1] + 1
      while x < n and x - k < m and a[first + x] == b[first + x - k] do x = x + 1 end
      v[k] = x
      if x >= n and x - k >= m then return trace, d end
    end
  end
end

-- The changes of the middle part, from its end back to its beginning.
local function backtrack(trace, d, n, m, add)
  local x, y = n, m
  for step = d, 0, -1 do
    local v, k = trace[step], x - y
    local down = k == -step or k ~= step and v[k - 1] < v[k + 1]
    local from = down and k + 1 or k - 1
    local px = v[from]
    local py = px - from
    while x > px and y > py and x > 0 and y > 0 do
      add(" ", x, y)
      x, y = x - 1, y - 1
    end
    if step > 0 then
      if down then add("+", x, y) else add("-", x, y) end
      x, y = px, py
    end
  end
end

---@class ftrun.linediff.Step
---@field op " "|"-"|"+"
---@field line string
---@field a integer  number of the line in the first text (of the one before, for "+")
---@field b integer

--- The steps from one list of lines to the other.
---@param a string[]
---@param b string[]
---@return ftrun.linediff.Step[]
function M.steps(a, b)
  local first, last = 0, 0
  while first < #a and first < #b and a[first + 1] == b[first + 1] do first = first + 1 end
  while last < #a - first and last < #b - first and a[#a - last] == b[#b - last] do last = last + 1 end
  local n, m, steps, middle = #a - first - last, #b - first - last, {}, {}
  local function add(op, x, y) steps[#steps + 1] = { op = op, line = op == "+" and b[y] or a[x], a = x, b = y } end
  for i = 1, first do add(" ", i, i) end
  local trace, d = search(a, b, first + 1, n, m)
  if trace then
    backtrack(trace, d, n, m, function(op, x, y) middle[#middle + 1] = { op, first + x, first + y } end)
    for i = #middle, 1, -1 do add(table.unpack(middle[i])) end
  else
    for i = 1, n do add("-", first + i, first) end
    for i = 1, m do add("+", first + n, first + i) end
  end
  for i = last - 1, 0, -1 do add(" ", #a - i, #b - i) end
  return steps
end

local function range(start, count)
  if count == 1 then return tostring(start) end
  return ("%d,%d"):format(count == 0 and start - 1 or start, count)
end

--- Hunks as diff -u prints them, without the two lines of names; none for equal texts.
---@param a string
---@param b string
---@return string[]
function M.unified(a, b)
  local steps, out = M.steps(M.lines(a), M.lines(b)), {}
  local i = 1
  while i <= #steps do
    while i <= #steps and steps[i].op == " " do i = i + 1 end
    if i > #steps then break end
    local from, to, quiet = math.max(1, i - CONTEXT), i, 0
    for k = i, #steps do
      quiet = steps[k].op == " " and quiet + 1 or 0
      if quiet > 2 * CONTEXT then break end
      if quiet == 0 then to = k end
    end
    to = math.min(#steps, to + CONTEXT)
    local left, right, hunk = 0, 0, {}
    for k = from, to do
      local s = steps[k]
      if s.op ~= "+" then left = left + 1 end
      if s.op ~= "-" then right = right + 1 end
      hunk[#hunk + 1] = s.op .. s.line
    end
    local s = steps[from]
    out[#out + 1] = ("@@ -%s +%s @@"):format(range(s.op == "+" and s.a + 1 or s.a, left),
      range(s.op == "-" and s.b + 1 or s.b, right))
    table.move(hunk, 1, #hunk, #out + 1, out)
    i = to + 1
  end
  return out
end

return M
