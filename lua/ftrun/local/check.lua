--- The checks of a file that OpenAI makes before a job is queued: those of `ftrun validate`, up to the first error.
local err = require "ftrun.err"
local validate = require "ftrun.data.validate"

local M = {}

local TOO_FEW = { no_rows = true, invalid_n_examples = true }

--- Reads a whole file; waits now and then so that others get their turn. Raises err "data" with code
--- invalid_file_format or invalid_n_examples.
---@param path string
---@param role "training"|"validation"
---@return integer examples
function M.examples(path, role)
  return validate.file(path, { method = "supervised", validation = role == "validation" }, function(finding)
    if finding.severity ~= "error" then return end
    local place = finding.line and ("Line %d of the %s file"):format(finding.line, role) or ("The %s file"):format(role)
    if finding.path ~= "" then place = place .. ": " .. finding.path end
    err.raise("data", ("%s: %s"):format(place, finding.message),
      { code = TOO_FEW[finding.code] and "invalid_n_examples" or "invalid_file_format" })
  end).rows
end

return M
