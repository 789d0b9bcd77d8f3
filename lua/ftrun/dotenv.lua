--- What is wrong with a `.env` file, and what to do about it.
local err = require "ftrun.err"

local M = {}

--- Faults that keep no command from starting, and what is said of them.
---@type table<string, string>
M.PASSED = { syntax = "; the line is passed over", dangling = "; no setting is read from it" }

local ADVICE = {
  too_large = "A file of settings has short NAME=value lines. Is it the right file? Move all else out of it.",
  folder = "Settings are NAME=value lines in a file: remove the folder, or rename it. (Docker makes a folder where a "
    .. "file that it is to mount is missing.)",
  encoding = "Save it as UTF-8. Nothing was changed.",
  dangling = "Make the file that it links to, or remove the link. Nothing was changed.",
  nul = "Take the zero byte out with an editor; it may be damage. Nothing was changed.",
}

--- Raises the fault of a native function that reads or changes such a file.
---@param kind string  of ftrun.err
---@param message string
---@param code string
function M.fail(kind, message, code)
  if not ADVICE[code] then err.check(kind, nil, message, code) end
  err.raise(kind, message, { code = code, advice = ADVICE[code] })
end

return M
