--- Where the records of a run go. Always into its log on disk, before anything else; online also to the server, out of
--- that log. Who adds records does not know which.
local cursor = require "ftrun.wandb.cursor"
local err = require "ftrun.err"
local log = require "ft.log"
local online = require "ftrun.wandb.online"
local run_log = require "ftrun.wandb.log"

local sink = {}

---@class ftrun.wandb.Sink
---@field url string?  of the run at the server, once it is there
local Sink = {}
Sink.__index = Sink

--- Begins a log. What was there under its name stays until `publish`.
---@param path string  run-<id>.wandb in the run's own folder
---@param o { set: ftrun.wandb.Settings, on_stop: fun()? }  on_stop: somebody has pressed Stop at the server
---@return ftrun.wandb.Sink
function sink.create(path, o)
  local file = err.check("system", run_log.create(path .. ".new", true))
  return setmetatable({ path = path, log = file, o = o, steps = 0 }, Sink)
end

--- Adds a record; with `sync`, returns after it is on disk. Never waits for the server.
---@param record table  of records.lua
---@param sync boolean?
function Sink:add(record, sync)
  err.check("system", self.log:add(record, sync))
  if record.history then self.steps = self.steps + 1 end
  if record.exit then self.ended = true end
end

--- Gives the log its name, and begins to send it when the settings say so.
function Sink:publish()
  err.check("system", self.log:live())
  err.check("system", self.log:rename(self.path))
  if not self.o.set.online then return end
  self.stream = online.start { path = self.path, set = self.o.set, on_stop = self.o.on_stop, on_url = function(url)
    self.url = url
    log.info("W&B: " .. url)
  end }
end

--- How an offline run goes up: by W&B's own package, whose command is told with a pattern in place of the folder's long
--- name - its end is that of the run's id, and names it as well - or by ftrun, where a part of it is there already.
---@param path string  of the log
---@param again string?  ftrun's command
---@return string
function sink.upload(path, again)
  local folder = path:match "^(.*)/"
  if again and cursor.state(path) ~= "none" then return "a part of it is there; send the rest: " .. again end
  local parent, tail = folder:match "^([%w._/-]*/)offline%-run%-[%w_-]*(%-%w+)$"
  return "upload it: wandb sync " .. (parent and parent .. "*" .. tail or ("'%s'"):format((folder:gsub("'", "'\\''"))))
end

--- What is to be said of files and artifacts that the server did not take.
---@param lost integer
---@return string
function sink.refused(lost)
  return lost > 0 and (", but %d of its files or artifacts were refused"):format(lost) or ""
end

--- Ends both; what is left is sent, if that is possible in time. Says what became of the run.
---@param again string?  the command that sends the rest
---@return string text
function Sink:close(again)
  self.log:close()
  local set = self.o.set
  if not self.stream then
    local why = set.offline_why and " (" .. set.offline_why .. ")" or ""
    return ("offline%s; %s"):format(why, sink.upload(self.path, again))
  end
  local r = self.stream:close()
  if not r.why then
    return ("the run is at %s%s%s"):format(r.url or set.base_url, r.complete and "" or ", all up to here",
      sink.refused(r.lost))
  end
  if not self.ended then
    return ("%d of %d steps are sent (%s); the rest follows when the run goes on"):format(r.history, self.steps, r.why)
  end
  return ("not all was sent (%s): %s; it is kept%s"):format(r.why, r.history < self.steps
    and ("%d of %d steps are missing"):format(self.steps - r.history, self.steps) or "the end is missing",
    again and "; send it with: " .. again or "")
end

return sink
