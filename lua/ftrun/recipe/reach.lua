--- How far a recipe reaches into the file system: it is other people's code, and what it reads may leave the machine.
local fs = require "ft.fs"

local reach = {}

--- The real path of a file below one of the folders, links resolved; nil when it lies outside, or when it or a folder
--- on the way down to it is hidden. The second value is the real path whatever it is.
---@param path string
---@param roots string[]
---@return string? real
---@return string? outside
function reach.within(path, roots)
  local real = fs.realpath(path)
  if not real then return nil end
  for _, root in ipairs(roots) do
    local base = (fs.realpath(root) or "/"):gsub("/$", "") .. "/"
    if real:sub(1, #base) == base and not real:sub(#base):find("/.", 1, true) then return real end
  end
  return nil, real
end

return reach
