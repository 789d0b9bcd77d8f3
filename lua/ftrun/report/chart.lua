--- Curves as inline SVG: few round ticks, names at the ends of the lines instead of a legend, a title and a
--- description for those who do not see it. Colours come from the page's style, by class.
local html = require "ftrun.report.html"

local chart = {}

local h = html.h

-- Units are pixels where the drawing is as wide as a phone; side by side on a desk it is a little larger.
local WIDTH, HEIGHT = 360, 216
local LEFT, RIGHT, TOP, BOTTOM = 42, 70, 10, 26
local LABEL_GAP = 13

--- Round numbers (1, 2 or 5 times a power of ten) that divide a range into about `count` parts; the first and the last
--- may lie within the range.
---@param low number
---@param high number
---@param count integer
---@return number[]
function chart.ticks(low, high, count)
  if high <= low then return { low } end
  local rough = (high - low) / count
  local power = 10.0 ^ math.floor(math.log(rough, 10) + 1e-9)
  local step = power * 10
  for _, factor in ipairs { 1, 2, 5 } do
    if factor * power >= rough * (1 - 1e-9) then
      step = factor * power
      break
    end
  end
  local list = {}
  for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do list[#list + 1] = i * step end
  return list
end

--- Powers of ten from the one below `low` to the one above `high`.
---@return number[]
function chart.decades(low, high)
  local first, last = math.floor(math.log(low, 10) + 1e-9), math.ceil(math.log(high, 10) - 1e-9)
  local every, list = math.max(1, (last - first) // 5), {}
  for i = first, math.max(last, first + 1) + every - 1, every do list[#list + 1] = 10.0 ^ i end
  return list
end

--- Ticks as text, all with the digits that tell them apart: 0.2 0.4, or 20k 40k.
---@param list number[]
---@return string[]
function chart.labels(list)
  local largest, out = 0, {}
  for _, v in ipairs(list) do largest = math.max(largest, math.abs(v)) end
  local unit, sign = 1, ""
  if largest >= 1e7 then unit, sign = 1e6, "M" elseif largest >= 1e4 then unit, sign = 1e3, "k" end
  for i, v in ipairs(list) do
    v = v / unit
    local digits = 0
    while digits < 6 and math.abs(v * 10 ^ digits - math.floor(v * 10 ^ digits + 0.5)) > 1e-6 do digits = digits + 1 end
    out[i] = digits
  end
  local ratio = #list > 1 and list[1] > 0 and list[2] / list[1] >= 9.9 -- decades have digits of their own
  local most = math.max(0, table.unpack(out))
  for i, v in ipairs(list) do
    out[i] = v == 0 and "0" or ("%." .. (ratio and out[i] or most) .. "f"):format(v / unit) .. sign
  end
  return out
end

--- At most `count` points, each the mean of its share, with the least and the largest value of it.
---@param points number[][]  { x, y }
---@return { x: number, y: number, low: number, high: number }[]
function chart.thin(points, count)
  local n, out = math.min(#points, count), {}
  for i = 1, n do
    local from, to = (i - 1) * #points // n + 1, i * #points // n
    local sum, low, high = 0, math.huge, -math.huge
    for k = from, to do
      local y = points[k][2]
      sum, low, high = sum + y, math.min(low, y), math.max(high, y)
    end
    out[i] = { x = points[to][1], y = sum / (to - from + 1), low = low, high = high }
  end
  if n > 0 then out[1].x = points[1][1] end
  return out
end

local function path(points, x, y, key)
  local out = {}
  for i, p in ipairs(points) do out[i] = ("%s%.1f %.1f"):format(i == 1 and "M" or "L", x(p.x), y(p[key or "y"])) end
  return table.concat(out)
end

local function band(points, x, y)
  local out = { path(points, x, y, "high") }
  for i = #points, 1, -1 do out[#out + 1] = ("L%.1f %.1f"):format(x(points[i].x), y(points[i].low)) end
  return table.concat(out) .. "Z"
end

-- Names stand at the ends of their lines, and apart from each other.
local function names(series, x, y)
  local list, out = {}, {}
  for _, s in ipairs(series) do
    local last = s.points[#s.points]
    list[#list + 1] = { at = y(last.y), x = x(last.x), name = s.name, class = s.class }
  end
  table.sort(list, function(a, b) return a.at < b.at end)
  local function near(i) return list[i] and list[i + 1] and math.abs(list[i].x - list[i + 1].x) < RIGHT end
  for i = 2, #list do
    if near(i - 1) then list[i].at = math.max(list[i].at, list[i - 1].at + LABEL_GAP) end
  end
  local floor = HEIGHT - BOTTOM
  for i = #list, 1, -1 do
    list[i].at = math.min(list[i].at, floor)
    floor = near(i - 1) and list[i].at - LABEL_GAP or HEIGHT - BOTTOM
  end
  for i, l in ipairs(list) do
    local left = ("%.1f"):format(l.x + 6)
    out[i] = h.text { class = "name " .. l.class, x = left, y = ("%.1f"):format(l.at + 3.5), l.name }
  end
  return out
end

-- The lowest and the highest value that is drawn, widened to ticks.
local function range(series, o)
  local low, high, right = math.huge, -math.huge, 0
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      low, high, right = math.min(low, p.y), math.max(high, p.y), math.max(right, p.x)
    end
  end
  if o.log then
    local list = chart.decades(low, high)
    return list, math.min(low, list[1]), list[#list], right
  end
  if o.zero then low = 0 end
  if high <= low then low, high = low - 0.5, high + 0.5 end
  local list = chart.ticks(low, high, 4)
  local step = #list > 1 and list[2] - list[1] or high - low
  low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
  if o.most then high = math.min(high, o.most) end
  return chart.ticks(low, high, (high - low) / step), low, high, right
end

---@class ftrun.chart.Series
---@field name string
---@field class string       of the page's style
---@field points number[][]  { x, y }, x rising
---@field marks boolean?     each point is marked

---@class ftrun.chart.Options
---@field id string          unique in the page
---@field title string
---@field description string
---@field x string           what the horizontal axis counts
---@field zero boolean?      the vertical axis begins at 0
---@field most number?       no value is above this
---@field points integer?    of a curve at most; more are drawn as means and a band
---@field log boolean?       powers of ten; all values are above 0

--- A drawing of curves; nil when there is nothing to draw.
---@param series ftrun.chart.Series[]
---@param o ftrun.chart.Options
function chart.lines(series, o)
  local list, most = {}, o.points or 180
  for _, s in ipairs(series) do
    if #s.points > 0 then
      list[#list + 1] = { name = s.name, class = s.class, marks = s.marks, reduced = #s.points > most,
        points = chart.thin(s.points, most) }
    end
  end
  if #list == 0 then return nil end
  local ticks, low, high, right = range(list, o)
  local function scale(v)
    if o.log then return math.log(math.max(v, low) / low) / math.log(high / low) end
    return math.max(0, math.min(1, (v - low) / (high - low)))
  end
  local function x(v) return LEFT + v / math.max(right, 1) * (WIDTH - LEFT - RIGHT) end
  local function y(v) return HEIGHT - BOTTOM - scale(v) * (HEIGHT - TOP - BOTTOM) end

  local axis, curves = {}, {}
  local labels = chart.labels(ticks)
  for i, v in ipairs(ticks) do
    local at = ("%.1f"):format(y(v))
    axis[#axis + 1] = h.line { class = "grid", x1 = LEFT, x2 = WIDTH - RIGHT, y1 = at, y2 = at }
    axis[#axis + 1] = h.text { class = "tick y", x = LEFT - 6, y = ("%.1f"):format(y(v) + 3.5), labels[i] }
  end
  local steps = chart.ticks(0, math.max(right, 1), 4)
  while #steps > 6 do table.remove(steps) end
  labels = chart.labels(steps)
  for i, v in ipairs(steps) do
    axis[#axis + 1] = h.text { class = "tick x", x = ("%.1f"):format(x(v)), y = HEIGHT - 10, labels[i] }
  end
  axis[#axis + 1] = h.text { class = "tick name", x = WIDTH - RIGHT + 6, y = HEIGHT - 10, o.x }
  for _, s in ipairs(list) do
    if s.reduced then curves[#curves + 1] = h.path { class = "band " .. s.class, d = band(s.points, x, y) } end
  end
  for _, s in ipairs(list) do
    local class = "curve " .. s.class .. (s.marks and " marked" or "")
    curves[#curves + 1] = h.path { class = class, d = path(s.points, x, y) }
    if s.marks or #s.points == 1 then
      for _, p in ipairs(s.points) do
        curves[#curves + 1] = h.circle { class = "mark " .. s.class, r = 3, cx = ("%.1f"):format(x(p.x)),
          cy = ("%.1f"):format(y(p.y)) }
      end
    end
  end
  return h.svg { viewBox = ("0 0 %d %d"):format(WIDTH, HEIGHT), role = "img",
    ["aria-labelledby"] = o.id .. "-t " .. o.id .. "-d", h.title { id = o.id .. "-t", o.title },
    h.desc { id = o.id .. "-d", o.description }, axis, curves, names(list, x, y) }
end

return chart
