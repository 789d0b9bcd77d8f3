--- The question before something that cannot be taken back.
local log = require "ft.log"
local task = require "ft.task"

--- Asks, and waits for a line of standard input. Without anybody to answer there is no consent.
---@param question string
---@param quiet boolean?  messages are off; the question is not
---@return boolean
return function(question, quiet)
  local ask = quiet and log.warn or log.info
  ask(question .. " [y/N] ")
  local answer = task.read_line()
  return answer ~= nil and answer:lower():match("^%s*y") ~= nil
end
