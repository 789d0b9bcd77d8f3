--- Rows of cells in columns, as commands that list things print them.
local log = require "ft.log"
local wrap = require "ftrun.text.wrap"

local function width_of(cell) return utf8.len(cell) or #cell end

--- Prints rows; where lines would be too long the cells stand closer, or else one cell, a long name, gets a line of its
--- own.
---@param rows string[][]   all with the same number of cells
---@param own integer?      that cell, the first or the last; default: the last
---@param most integer?     columns where there is no terminal; default: any number
return function(rows, own, most)
  local widths, total = {}, 0
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, width_of(cell)) end
  end
  own = own or #widths
  for _, width in ipairs(widths) do total = total + width end
  local room = math.min(wrap.width "stdout", most or math.huge) - total
  local gap = (room >= 2 * (#widths - 1) or room < #widths - 1) and "  " or " "
  local narrow = room < #widths - 1
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      if not (narrow and i == own) then cells[#cells + 1] = cell .. (" "):rep(widths[i] - width_of(cell)) end
    end
    local line = table.concat(cells, gap):gsub(" +$", "")
    if narrow then line = own == 1 and row[1] .. "\n    " .. line or line .. "\n    " .. row[own] end
    log.out(line .. "\n")
  end
end
