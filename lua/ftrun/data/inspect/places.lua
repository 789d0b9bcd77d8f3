--- Where something was found: a count and the first places, in constant memory.
local Places = {}
Places.__index = Places

local FIRST = 5

---@class ftrun.Place
---@field side "train"|"validation"
---@field line integer
---@field key string?
---@field file string?
---@field path string?

---@return ftrun.Places
function Places.new() return setmetatable({ count = 0, rows = 0, first = {} }, Places) end

--- Notes one more; several in one row are one place.
---@param place ftrun.Place
---@param n integer?  so many at once, default 1
function Places:add(place, n)
  self.count = self.count + (n or 1)
  local same = self.last and self.last.line == place.line and self.last.side == place.side
    and self.last.file == place.file
  self.last = place
  if same then return end
  self.rows = self.rows + 1
  if #self.first < FIRST then self.first[#self.first + 1] = place end
end

--- A place in words: its key or line, and where that does not tell it, its file or side: "line 3 of validation".
---@param place ftrun.Place
---@return string
function Places.name(place)
  return (place.key or "line " .. place.line)
    .. (place.file and " of " .. place.file or place.side == "validation" and " of validation" or "")
end

--- "line 3, line 9, ...".
---@param from integer?  leaves out the places before this one
---@return string
function Places:text(from)
  local names = {}
  for i = from or 1, #self.first do names[#names + 1] = Places.name(self.first[i]) end
  if self.rows > #self.first then names[#names + 1] = "..." end
  return table.concat(names, ", ")
end

--- A finding at the first place, or at another one.
---@param finding table  code, severity, message
---@param place ftrun.Place?
---@return ftrun.Finding
function Places:finding(finding, place)
  place = place or self.first[1]
  finding.line, finding.key, finding.side, finding.file = place.line, place.key, place.side, place.file
  finding.path = finding.path or place.path
  return finding
end

return Places
