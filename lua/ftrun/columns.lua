--- Rows of cells in columns, as commands that list things print them.
local log = require "ft.log"
local wrap = require "ftrun.wrap"

--- Prints rows; where the terminal is too narrow the last cell, a long name, gets a line of its own.
---@param rows string[][]  all with the same number of cells
return function(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell) end
  end
  local total = 2 * (#widths - 1)
  for _, width in ipairs(widths) do total = total + width end
  local narrow = total > wrap.width "stdout"
  for _, row in ipairs(rows) do
    local cells = {}
    for i = 1, #row - 1 do cells[i] = row[i] .. (" "):rep(widths[i] - (utf8.len(row[i]) or #row[i])) end
    log.out(table.concat(cells, "  ") .. (narrow and "\n    " or "  ") .. row[#row] .. "\n")
  end
end
