--- Rows that belong together because they ask the same: a group for the first of them. So many groups are remembered,
--- with the first places of each.
local Places = require "ftrun.data.inspect.places"

local Groups = {}
Groups.__index = Groups

local MOST = 5000 -- groups; about 1 kB each

---@class ftrun.Group
---@field first ftrun.Place
---@field train ftrun.Places       its rows, the first one too
---@field validation ftrun.Places
---@field again table<string, ftrun.Places>  rows on a side that has the text already, by the caller's words for them

---@return ftrun.Groups
function Groups.new() return setmetatable({ of = {}, list = {} }, Groups) end

--- Adds a row to the group of `first`. False: it was not, since there are too many groups.
---@param label integer     of the first row
---@param first ftrun.Place
---@param place ftrun.Place
---@param how string        goes to group.again[how] when its side has the text already, or when `always`
---@param always boolean?
---@return boolean
function Groups:add(label, first, place, how, always)
  local group = self.of[label]
  if not group then
    if #self.list >= MOST then return false end
    group = { label = label, first = first, train = Places.new(), validation = Places.new(), again = {} }
    group[first.side]:add(first)
    self.of[label] = group
    self.list[#self.list + 1] = group
  end
  if always or group[place.side].rows > 0 then
    group.again[how] = group.again[how] or Places.new()
    group.again[how]:add(place)
  end
  group[place.side]:add(place)
  return true
end

--- The groups in the order of their first rows.
---@return ftrun.Group[]
function Groups:sorted()
  table.sort(self.list, function(a, b) return a.label < b.label end)
  return self.list
end

return Groups
