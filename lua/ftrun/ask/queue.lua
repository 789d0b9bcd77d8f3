--- A queue of tasks that pass one after another, first come, first served.
local task = require "ft.task"
local time = require "ft.time"

local M = {}

local LONGEST_S = 3600 -- a task that waits looks again after this, whether it was rung or not

local Queue = {}
Queue.__index = Queue

---@return ftrun.ask.Queue
function M.new()
  return setmetatable({ first = 1, last = 0 }, Queue)
end

--- Lets the first of those who wait look again whether it can pass.
function Queue:ring()
  local ticket = self[self.first]
  if ticket and ticket.bell then ticket.bell:cancel() end
end

--- Lets all of them look again, as those who find that there is nothing left to wait for.
function Queue:ring_all()
  for i = self.first, self.last do
    local ticket = self[i]
    if ticket then
      ticket.dismissed = true
      if ticket.bell then ticket.bell:cancel() end
    end
  end
end

-- A task can wait for time or for another task: so the bell is a task that sleeps, and ringing ends it.
local function rest(ticket, seconds)
  ticket.bell = task.spawn(time.sleep, math.min(seconds, LONGEST_S))
  pcall(ticket.bell.join, ticket.bell)
  ticket.bell = nil
end

local function leave(self, ticket)
  if ticket.bell then ticket.bell:cancel() end -- the task was cancelled while it waited
  self[ticket.at] = false
  while self.first <= self.last and not self[self.first] do
    self[self.first] = nil
    self.first = self.first + 1
  end
  self:ring()
end

--- Waits until it is the caller's turn and `try` gives 0. Waits; call it from a task.
---@param try fun(): number  0: passed, and what that takes is taken; else the seconds after which to try again, or
---  math.huge: when somebody rings. May raise.
function Queue:pass(try)
  if self.first > self.last and try() <= 0 then return end
  local ticket = { at = self.last + 1 }
  self.last = ticket.at
  self[ticket.at] = ticket
  local _ <close> = setmetatable({}, { __close = function() leave(self, ticket) end })
  while true do
    local wait = math.huge
    if ticket.at == self.first or ticket.dismissed then wait = try() end
    if wait <= 0 then return end
    rest(ticket, wait)
  end
end

return M
