--- Secrets in files that are about to leave this machine: values that ftrun holds as secrets now, and texts that look
--- like keys or passwords of anybody.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local log = require "ft.log"
local personal = require "ftrun.data.inspect.personal"

local M = {}

--- The first secret in a file.
---@param path string
---@return integer? line
---@return string? what  "a value that is a secret here", "an AWS access key (AKIA***)"
function M.find(path)
  local reader <close> = err.check("system", dataset.reader(path))
  while true do
    local line, number, code = reader:next()
    if not line then
      if code then err.raise("system", ("%s: %s"):format(path, number), { code = code }) end
      return nil
    end
    if log.mask(line) ~= line then return number, "a value that is a secret here" end
    for _, found in ipairs(personal.find(line) or {}) do
      if found.code == "secret_key" then
        return number, ("%s (%s)"):format(found.detail or "a secret", found.masked)
      end
    end
  end
end

return M
