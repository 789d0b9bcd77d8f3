--- Trackers keep what a run says. A tracker is a module with open(context, past) -> { event = fn(event),
--- close = fn(), settle = fn()?, stopped = (fn() -> reason)? }, or nil when it has nothing to do in this run; it sees
--- the run's one stream of events (watch.lua and said.lua tell their shapes), `past` being those of earlier starts.
--- After `settle` nothing more belongs to the newest event. The context is the run's (run/init.lua): what its phases
--- have made is there when the first event comes. A tracker that fails is reported once and left out; the run goes on,
--- and the module's `again(context)`, where there is one, names the command that logs it afterwards. Only `files` may
--- stop a run: what it cannot write would be lost.
local files = require "ftrun.trackers.files"
local log = require "ft.log"

local trackers = {}

--- Modules besides `files`, in order: a further tracker is one module more.
trackers.others = { "ftrun.trackers.wandb" }

---@class ftrun.Trackers
---@field past table[]     events of earlier starts of this run
---@field event fun(event: table)
---@field settle fun()     the recipe has said all that it has to say of the newest event
---@field close fun()
---@field stopped fun(): string?  why a tracker was asked to stop the run, by somebody elsewhere

--- Opens every tracker for a run.
---@param context table  at least `dir`, `recipe` and `summary`; `private`: only the run's own files are written
---@return ftrun.Trackers
function trackers.open(context)
  local first = files.open(context)
  local others = {}
  local function failed(module, message)
    local text, again = ("the %s tracker stopped: %s"):format(module:match "[^.]*$", tostring(message)),
      require(module).again
    log.warn(again and ("%s\nlog the run afterwards: %s"):format(text, again(context)) or text)
  end
  local function call(method, ...)
    if first[method] then first[method](...) end
    for i = #others, 1, -1 do
      local fn = others[i].tracker[method]
      local ok, message = true, nil
      if fn then ok, message = pcall(fn, ...) end
      if not ok then
        failed(others[i].module, message)
        local other = table.remove(others, i)
        if method ~= "close" then pcall(other.tracker.close) end
      end
    end
  end
  for _, module in ipairs(context.private and {} or trackers.others) do
    local ok, tracker = pcall(require(module).open, context, first.past)
    if not ok then
      failed(module, tracker)
    elseif tracker then
      others[#others + 1] = { module = module, tracker = tracker }
    end
  end
  return {
    past = first.past,
    event = function(event) call("event", event) end,
    settle = function() call("settle") end,
    close = function() call("close") end,
    stopped = function()
      for _, other in ipairs(others) do
        local reason = other.tracker.stopped and other.tracker.stopped()
        if reason then return reason end
      end
    end,
  }
end

return trackers
