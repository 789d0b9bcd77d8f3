--- Files that grow line by line, and may end in half a line after a kill.
local fs = require "ft.fs"
local time = require "ft.time"
local err = require "ftrun.err"

local M = {}

local SLICE = 256 * 1024 -- read at once: other tasks get their turn after each
local LARGEST = 1 << 30

--- Calls fn(line) for each whole line, until it returns false.
---@param path string
---@param fn fun(line: string): boolean?
function M.each(path, fn)
  local file <close> = err.check("system", io.open(path, "rb"))
  local rest = ""
  for piece in function() return file:read(SLICE) end do
    local text, from = rest .. piece, 1
    for line, after in text:gmatch "([^\n]*)\n()" do
      if fn(line) == false then return end
      from = after
    end
    rest = text:sub(from)
    if #piece == SLICE then time.sleep(0) end
  end
end

--- The same for a file that is to be gone on with: what follows the last line that fn took is cut off. A file that is
--- not there has no lines.
---@param path string
---@param fn fun(line: string): boolean?
function M.take_up(path, fn)
  local there, message, code = fs.stat(path)
  if code == "not_found" then return end
  err.check("system", there, message, code)
  local whole = 0
  M.each(path, function(line)
    if fn(line) == false then return false end
    whole = whole + #line + 1
  end)
  if whole < there.bytes then
    err.check("system", fs.write(path, err.check("system", fs.read(path, LARGEST)):sub(1, whole)))
  end
end

return M
