--- How whole numbers are distributed: quantiles and a picture of bars. Memory grows with the number of different values
--- only, not with how many there are.
local amounts = require "ftrun.text.amounts"

local M = {}

local Histogram = {}
Histogram.__index = Histogram

local BINS, BAR = 12, 40
local EIGHTHS = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

---@class ftrun.Histogram
---@field count integer
---@field sum integer

---@return ftrun.Histogram
function M.new()
  return setmetatable({ count = 0, sum = 0, times = {} }, Histogram)
end

--- Adds a whole number, `times` times.
---@param value integer
---@param times integer?
function Histogram:add(value, times)
  times = times or 1
  self.count = self.count + times
  self.sum = self.sum + value * times
  self.times[value] = (self.times[value] or 0) + times
  self.sorted = nil
end

--- Adds what another histogram holds.
---@param other ftrun.Histogram
function Histogram:merge(other)
  for value, times in pairs(other.times) do self:add(value, times) end
end

local function sorted(self)
  if not self.sorted then
    self.sorted = {}
    for value in pairs(self.times) do self.sorted[#self.sorted + 1] = value end
    table.sort(self.sorted)
  end
  return self.sorted
end

--- The least value that at least this share of all values do not exceed (the nearest rank: always a value that occurs).
---@param share number  0 to 1
---@return integer? value  nil when there are none
function Histogram:quantile(share)
  local seen, wanted = 0, math.max(1, math.ceil(share * self.count))
  for _, value in ipairs(sorted(self)) do
    seen = seen + self.times[value]
    if seen >= wanted then return value end
  end
end

--- All figures at once.
---@return { count: integer, sum: integer, min: integer?, median: integer?, p95: integer?, max: integer? }
function Histogram:figures()
  local values = sorted(self)
  return { count = self.count, sum = self.sum, min = values[1], median = self:quantile(0.5),
    p95 = self:quantile(0.95), max = values[#values] }
end

--- 1234567 as "1 234 567".
M.number = amounts.number

-- Bounds of at most BINS bins: of one round width; or, when a few values are far above all others, each twice the last.
local function bounds(self)
  local values = sorted(self)
  local low, high = values[1], values[#values]
  local list = {}
  if high > 8 * math.max(1, self:quantile(0.95)) then
    local first = 1
    while high >= first << (BINS - 1) do first = first * 2 end
    list = { 0 }
    local bound = first
    while bound <= high do
      list[#list + 1] = bound
      bound = bound * 2
    end
    list[#list + 1] = bound
    return list
  end
  local width, steps, i = 1, { 2, 2.5, 2 }, 0 -- 1, 2, 5, 10, ...
  while high // width - low // width + 1 > BINS do
    width = math.tointeger(width * steps[i % 3 + 1])
    i = i + 1
  end
  for bound = low // width * width, high + width, width do list[#list + 1] = bound end
  return list
end

local function bar(share)
  local eighths = math.ceil(share * BAR * 8)
  return ("█"):rep(eighths // 8) .. (EIGHTHS[eighths % 8] or "")
end

---@class ftrun.histogram.Bin
---@field from integer
---@field to integer     the last value that belongs to it
---@field count integer

--- The distribution in a few bins, from the least value to the largest.
---@return ftrun.histogram.Bin[]
function Histogram:bins()
  local bins, edge, bin = {}, self.count > 0 and bounds(self) or {}, 1
  for i = 1, #edge - 1 do bins[i] = { from = edge[i], to = edge[i + 1] - 1, count = 0 } end
  for _, value in ipairs(sorted(self)) do
    while value > bins[bin].to do bin = bin + 1 end
    bins[bin].count = bins[bin].count + self.times[value]
  end
  while #bins > 1 and bins[#bins].count == 0 do bins[#bins] = nil end
  return bins
end

--- A picture of bins for a terminal: one line a bin, "from - to  bar  how many"; of single values "n  bar  how many".
---@param bins ftrun.histogram.Bin[]
---@return string[]
function M.lines(bins)
  local most, wide, lines = 1, 1, {}
  for _, bin in ipairs(bins) do most, wide = math.max(most, bin.count), math.max(wide, #M.number(bin.to)) end
  local single = true
  for _, bin in ipairs(bins) do single = single and bin.from == bin.to end
  local form = ("%%%ds"):format(wide)
  for i, bin in ipairs(bins) do
    local range = form:format(M.number(bin.to))
    if not single then range = form:format(M.number(bin.from)) .. " - " .. range end
    lines[i] = ("%s  %s %s"):format(range, bar(bin.count / most), M.number(bin.count))
  end
  return lines
end

--- The picture of this histogram.
---@return string[]
function Histogram:lines() return M.lines(self:bins()) end

return M
